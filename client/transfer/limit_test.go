package transfer

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/osproxy/osproxy/client"
)

// direct carries requests to a fake daemon without a network, so that time is
// the test's.
type direct struct{ d *fakeDaemon }

func (t direct) RoundTrip(req *http.Request) (*http.Response, error) {
	answer := httptest.NewRecorder()
	got := req.Clone(req.Context())
	if got.Body == nil {
		got.Body = http.NoBody
	}
	t.d.serveHTTP(answer, got)
	if req.Body != nil {
		req.Body.Close()
	}
	resp := answer.Result()
	resp.ContentLength = int64(answer.Body.Len())
	return resp, nil
}

// Under a limit progress is even, in both directions: what was read of a file is
// what was sent, not what some buffer took.
func TestProgressUnderALimit(t *testing.T) {
	r := newRig(t)
	path, data := r.write(t, "a.bin", 3*testPart)
	const perSecond = 1 << 20
	f := r.d.add("b", data)
	target := filepath.Join(r.dir, "b")
	for name, move := range map[string]func(ctx context.Context, e *Engine) (Result, error){
		"put": func(ctx context.Context, e *Engine) (Result, error) { return e.Put(ctx, PutRequest{Path: path}) },
		"get": func(ctx context.Context, e *Engine) (Result, error) {
			return e.Get(ctx, GetRequest{UID: f.UID, Path: target})
		},
		"verify": func(ctx context.Context, e *Engine) (Result, error) { return e.Verify(ctx, f.UID) },
	} {
		synctest.Test(t, func(t *testing.T) {
			c, err := client.New(client.Config{Server: "http://h", Transport: direct{r.d}, UpRate: perSecond, DownRate: perSecond})
			if err != nil {
				t.Fatal(err)
			}
			p := &Progress{}
			e := New(Config{Client: c, Progress: p})
			done := make(chan Result, 1)
			go func() {
				res, err := move(t.Context(), e)
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				done <- res
			}()
			// After each second a second's worth is moved, give or take a piece
			// for each connection.
			const slack = 5 * (64 << 10)
			for second := int64(1); second <= 11; second++ {
				time.Sleep(time.Second)
				s := p.Snapshot()
				if want := second * perSecond; s.Moved < want-slack || s.Moved > want+slack {
					t.Errorf("%s: after %d s %d bytes are moved, want %d", name, second, s.Moved, want)
				}
				if s.Rate < perSecond-slack || s.Rate > perSecond+slack {
					t.Errorf("%s: after %d s the rate is %.0f, want %d", name, second, s.Rate, perSecond)
				}
			}
			if res := <-done; res.SentBytes != int64(len(data)) || res.Elapsed < 11900*time.Millisecond || res.Elapsed > 12*time.Second {
				t.Errorf("%s: %+v", name, res)
			}
		})
	}
}
