package api

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// heap is what is alive.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// TestMemoryThroughAPeer: what passes through is held by nobody, however long it is
// and however many readers take nothing of it, and the slowness of each reaches the
// owner.
func TestMemoryThroughAPeer(t *testing.T) {
	const many, size, each = 100, 1 << 30, 700 << 10
	var sent, got atomic.Int64
	f, _ := startHanding(t, Config{}, map[protocol.RouteName]endpoint{
		protocol.RouteGetContent: {serve: func(c *call) error {
			return c.serveContent(representation{size: size, etag: `"a"`, mediaType: "text/plain", writeRange: func(_ context.Context, w io.Writer, _, n int64) error {
				b := make([]byte, 32<<10)
				for ; n > 0; n -= int64(len(b)) {
					if _, err := w.Write(b); err != nil {
						return err
					}
					sent.Add(int64(len(b)))
				}
				return nil
			}})
		}},
		protocol.RoutePutPart: {serve: func(c *call) error {
			b := make([]byte, 32<<10)
			for {
				n, err := c.body.Read(b)
				got.Add(int64(n))
				if err != nil {
					return err
				}
			}
		}},
	})
	before, body := heap(), strings.Repeat("a", 1<<20)
	for range many {
		w := f.dial().send("GET /v1/files/1/content HTTP/1.1\r\nHost: HOST\r\n\r\n")
		if a, err := http.ReadResponse(w.r, nil); err != nil || a.StatusCode != http.StatusOK {
			t.Fatal(a, err)
		}
		f.dial().send(putPart + strconv.Itoa(size) + "\r\n\r\n" + body)
	}
	// The owner has got what was sent, and it stands still in the other direction.
	for last := int64(-1); got.Load() < many<<20-many*128<<10 || sent.Load() != last; {
		last = sent.Load()
		time.Sleep(100 * time.Millisecond)
	}
	if used := heap() - before; used > 2*many*each {
		t.Errorf("%d transfers hold %d bytes, %d each; want at most %d", 2*many, used, used/(2*many), each)
	} else {
		t.Logf("%d transfers hold %d bytes each", 2*many, used/(2*many))
	}
	if s := sent.Load(); s > many*size/10 {
		t.Errorf("the owner has sent %d bytes that nobody reads", s)
	}
}
