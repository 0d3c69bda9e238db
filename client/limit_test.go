package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// exchange is a RoundTripper without a network: it reads the request's body and
// answers with one.
type exchange struct {
	got    func(body io.ReadCloser)
	answer []byte
}

func (e exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	if e.got != nil {
		e.got(req.Body)
	}
	return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(e.answer)), ContentLength: int64(len(e.answer)), Request: req}, nil
}

// Bodies together take the time their bytes take at the rate, however many
// there are, and come through whole.
func TestLimit(t *testing.T) {
	for _, perSecond := range []int64{1000, 20_000, 1_500_000, 80_000_000} {
		for _, bodies := range []int{1, 7} {
			for _, down := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					size := int(perSecond) * 3 / bodies
					data := bytes.Repeat([]byte("abcdefg"), size/7+1)[:size]
					read := func(r io.ReadCloser) {
						got, err := io.ReadAll(r)
						if err != nil || !bytes.Equal(got, data) || r.Close() != nil {
							t.Errorf("%d of %d bytes, %v", len(got), size, err)
						}
					}
					next, l := exchange{got: read}, &limited{up: newPace(perSecond)}
					if down {
						next, l = exchange{answer: data}, &limited{down: newPace(perSecond)}
					}
					l.next = next
					began := time.Now()
					var all sync.WaitGroup
					for range bodies {
						all.Go(func() {
							req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://h/", bytes.NewReader(data))
							if err != nil {
								t.Error(err)
								return
							}
							resp, err := l.RoundTrip(req)
							if err != nil {
								t.Error(err)
								return
							}
							if down {
								read(resp.Body)
							}
						})
					}
					all.Wait()
					// The first piece passes at once.
					least := 3*time.Second - time.Second*time.Duration(mostPiece+leastPiece)/time.Duration(perSecond) - 50*time.Millisecond
					if took := time.Since(began); took < least || took > 3*time.Second {
						t.Errorf("%d bodies at %d bytes a second, down %v: %s for 3 seconds' worth", bodies, perSecond, down, took)
					}
				})
			}
		}
	}
}

// No body stands still for long, though many share a low rate.
func TestLimitIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &limited{down: newPace(16_000), next: exchange{answer: make([]byte, 20_000)}}
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://h/", nil)
				resp, err := l.RoundTrip(req)
				if err != nil {
					t.Error(err)
					return
				}
				buf := make([]byte, 64<<10)
				for last := time.Now(); ; last = time.Now() {
					_, err := resp.Body.Read(buf)
					if since := time.Since(last); since > 3*time.Second {
						t.Errorf("a body stood still for %s", since)
					}
					if err != nil {
						return
					}
				}
			})
		}
		all.Wait()
	})
}

// What ends the wait is the context's end, and a deadline that is to come does
// not end it early.
func TestLimitEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		began := time.Now()
		body := &pacedBody{ReadCloser: io.NopCloser(bytes.NewReader(make([]byte, 1<<20))), ctx: ctx, pace: newPace(1000)}
		n, err := io.Copy(io.Discard, body)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 2500*time.Millisecond || n < 2000 || n > 4096 {
			t.Errorf("%d bytes in %s, %v", n, time.Since(began), err)
		}
	})
}

// Without a limit bodies are handed on as they are, since what is hidden from
// net/http is not sent by the kernel.
func TestNoLimitLeavesBodiesAlone(t *testing.T) {
	for _, rates := range [][2]int64{{0, 0}, {0, 1000}} {
		body := io.NopCloser(bytes.NewReader([]byte("abc")))
		c, err := New(Config{UpRate: rates[0], DownRate: rates[1], Transport: exchange{got: func(got io.ReadCloser) {
			if got != body {
				t.Errorf("%v: the body is wrapped", rates)
			}
		}, answer: []byte(`{}`)}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.PutPart(t.Context(), 5, 1, body, 3, protocol.XXH3{}); err != nil {
			t.Error(err)
		}
	}
}
