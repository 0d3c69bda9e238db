package webhook

import (
	"net/http"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

func TestRetryAfterOf(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"":                              0,
		"0":                             0,
		"90":                            90 * time.Second,
		"-1":                            0,
		"1.5":                           0,
		"soon":                          0,
		"86400":                         time.Hour,
		"99999999999999999999":          0,
		"Sun, 22 Nov 2026 10:00:30 GMT": 30 * time.Second,
		"Sun, 22 Nov 2026 09:00:00 GMT": 0,
		"Mon, 22 Nov 2027 10:00:00 GMT": time.Hour,
	} {
		if got := retryAfterOf(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
}

// An endpoint that asks to be left alone for a time gets nothing for so long,
// of no File, and everything afterwards.
func TestEndpointAsksForPatience(t *testing.T) {
	w, busy, sent := newWorld(t), true, 0
	s := endpoint(t, func(rw http.ResponseWriter, _ *http.Request) {
		if sent++; busy {
			rw.Header().Set("Retry-After", "600")
			rw.WriteHeader(http.StatusTooManyRequests)
		}
	})
	hook := w.hook(s.URL).Webhook
	w.put("a")
	w.notify(hook.ID)
	busy = false
	w.put("b")
	w.pass(599 * time.Second)
	w.notify(hook.ID)
	if sent != 1 {
		t.Fatalf("it was sent to %d times while it rests", sent)
	}
	w.pass(2 * time.Second)
	w.notify(hook.ID)
	if p := w.read(hook.ID); p.Delivered != 2 || p.Pending != 0 || sent != 3 {
		t.Errorf("%+v, sent %d times", p, sent)
	}
}

// Who answers 410 is not asked about the same event for days; it can be replayed.
func TestEndpointIsGone(t *testing.T) {
	w, r := newWorld(t), newReceiver(t)
	r.answers(always(http.StatusGone))
	hook := w.hook(r.URL).Webhook
	w.put("a")
	w.notify(hook.ID)
	if p := w.read(hook.ID); p.Dead != 1 || p.Pending != 0 || p.Error == nil {
		t.Fatalf("%+v", p)
	}
	r.answers(always(http.StatusOK))
	if n, err := w.s.Replay(t.Context(), Caller{Owner: "ann"}, hook.ID); err != nil || n != (protocol.WebhookReplay{Replayed: 1}) {
		t.Fatalf("%+v, %v", n, err)
	}
	w.notify(hook.ID)
	r.is(w, "a committed")
}
