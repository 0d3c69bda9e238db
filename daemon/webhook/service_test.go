package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/protocol"
)

// world is a database, webhooks on it, and a clock that stands still.
type world struct {
	*testing.T
	db   *meta.DB
	s    *Service
	mu   sync.Mutex
	now  time.Time
	uids protocol.UID
	// outcomes counts what became of what was sent.
	outcomes map[string]int
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, now: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), uids: 1000, outcomes: map[string]int{}}
	quiet := slog.New(slog.DiscardHandler)
	db := metatest.OpenDB(t, meta.Config{Path: filepath.Join(t.TempDir(), "meta.db"), Clock: w.clock, Logger: quiet})
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := db.RegisterConsumer(t.Context(), meta.FanOutConsumer); err != nil {
		t.Fatal(err)
	}
	w.db = db
	w.s = New(Config{Meta: db, Sender: newSender(t, SenderConfig{Guard: permissive, Clock: w.clock, Timeout: 5 * time.Second}), Guard: permissive, Clock: w.clock, Logger: quiet,
		Observe: func(outcome string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.outcomes[outcome]++
		}})
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) put(names ...string) (uids []protocol.UID) {
	w.Helper()
	for _, name := range names {
		w.uids++
		if _, err := w.db.PutFile(w.Context(), meta.NewFile{FileFields: meta.FileFields{Owner: "ann", Name: name}, UID: w.uids, CommittedAt: w.clock(), ETag: `"e"`}, nil); err != nil {
			w.Fatal(err)
		}
		uids = append(uids, w.uids)
	}
	return uids
}

func (w *world) hook(url string) protocol.CreatedWebhook {
	w.Helper()
	made, err := w.s.Create(w.Context(), Caller{Owner: "ann"}, protocol.CreateWebhook{URL: url, Events: protocol.EventKinds()})
	if err != nil {
		w.Fatal(err)
	}
	return made
}

// notify hands out what happened and sends a webhook what is due.
func (w *world) notify(id protocol.WebhookID) {
	w.Helper()
	for more := true; more; {
		var err error
		if _, more, err = w.db.NumberEvents(w.Context()); err != nil {
			w.Fatal(err)
		}
	}
	if _, err := w.s.FanOut(w.Context()); err != nil {
		w.Fatal(err)
	}
	if err := w.s.Notify(w.Context(), id); err != nil {
		w.Fatal(err)
	}
}

func (w *world) read(id protocol.WebhookID) protocol.Webhook {
	w.Helper()
	p, err := w.s.Webhook(w.Context(), Caller{Owner: "ann"}, id)
	if err != nil {
		w.Fatal(err)
	}
	return p
}

// receiver notes what arrives: the name and type of each event, by File.
type receiver struct {
	*httptest.Server
	mu sync.Mutex
	// got are the names and types, ids the ids, in order of arrival.
	got, ids []string
	// status says how a message is answered.
	status func(m protocol.Event) int
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{status: func(protocol.Event) int { return 200 }}
	r.Server = endpoint(t, func(w http.ResponseWriter, req *http.Request) {
		b, err := io.ReadAll(req.Body)
		var m protocol.Event
		if err := errors.Join(err, json.Unmarshal(b, &m)); err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		code := r.status(m)
		if code == 200 {
			r.got, r.ids = append(r.got, *m.Data.Name+" "+strings.TrimPrefix(string(m.Type), "file.")), append(r.ids, req.Header.Get(HeaderID))
		}
		w.WriteHeader(code)
	})
	return r
}

func (r *receiver) answers(status func(protocol.Event) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

// is compares what arrived, in any order of files.
func (r *receiver) is(t *world, want ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	got := slices.Clone(r.got)
	slices.SortStableFunc(got, func(a, b string) int { return strings.Compare(strings.Fields(a)[0], strings.Fields(b)[0]) })
	if !slices.Equal(got, want) {
		t.Fatalf("it got %v, want %v", got, want)
	}
}

func always(code int) func(protocol.Event) int { return func(protocol.Event) int { return code } }

func TestEventsArrive(t *testing.T) {
	w, r := newWorld(t), newReceiver(t)
	hook := w.hook(r.URL).Webhook
	uids := w.put("a", "b", "c")
	if err := w.db.DeleteFile(t.Context(), "ann", uids[0]); err != nil {
		t.Fatal(err)
	}
	w.notify(hook.ID)
	r.is(w, "a committed", "a deleted", "b committed", "c committed")
	slices.Sort(r.ids)
	if id := "msg_" + hook.ID.String(); !slices.Equal(r.ids, []string{id + "_1", id + "_2", id + "_3", id + "_4"}) {
		t.Errorf("the ids are %v", r.ids)
	}
	if p := w.read(hook.ID); p.Pending != 0 || p.Delivered != 4 || p.Error != nil || !p.DeliveredAt.Equal(w.clock()) {
		t.Errorf("%+v", p)
	}
	w.notify(hook.ID)
	if len(r.ids) != 4 || w.outcomes["delivered"] != 4 {
		t.Errorf("%d arrived, %v", len(r.ids), w.outcomes)
	}
}

// What failed is sent again later, and what comes after it of the same File
// waits for it; other Files do not.
func TestFailedEventsAreSentAgain(t *testing.T) {
	w, r := newWorld(t), newReceiver(t)
	hook := w.hook(r.URL).Webhook
	r.answers(func(m protocol.Event) int {
		if *m.Data.Name == "a" {
			return 500
		}
		return 200
	})
	uids := w.put("a", "b")
	if err := w.db.DeleteFile(t.Context(), "ann", uids[0]); err != nil {
		t.Fatal(err)
	}
	w.notify(hook.ID)
	r.is(w, "b committed")
	if p := w.read(hook.ID); p.Pending != 2 || p.Error == nil || *p.Error != "the endpoint answered 500" {
		t.Errorf("%+v", p)
	}
	r.answers(always(200))
	w.notify(hook.ID)
	r.is(w, "b committed") // not yet
	w.pass(firstRetry)
	w.notify(hook.ID)
	r.is(w, "a committed", "a deleted", "b committed")
}

// An endpoint that is away is asked less and less, whatever waits for it; when
// it is back everything arrives.
func TestEndpointIsAway(t *testing.T) {
	w, r := newWorld(t), newReceiver(t)
	hook := w.hook(r.URL).Webhook
	r.answers(always(503))
	w.put("a", "b", "c", "d", "e", "f", "g", "h", "i", "j")
	w.notify(hook.ID)
	p := w.read(hook.ID)
	if n := w.outcomes["failed"]; n < restAfter || n >= restAfter+sendsAtOnce || p.RetryAt == nil {
		t.Fatalf("%d were tried before it rested: %+v", n, p)
	}
	tried := w.outcomes["failed"]
	w.notify(hook.ID)
	if w.outcomes["failed"] != tried {
		t.Error("it does not rest")
	}
	for range 100 {
		w.pass(time.Minute)
		w.notify(hook.ID)
	}
	if n := w.outcomes["failed"] - tried; n > 4*30 {
		t.Errorf("%d were tried in 100 minutes", n)
	}
	r.answers(always(200))
	w.pass(time.Hour)
	w.notify(hook.ID)
	if p := w.read(hook.ID); p.Pending != 0 || p.Delivered != 10 || p.RetryAt != nil {
		t.Errorf("%+v", p)
	}
}

// After three days an event is given up; a replay sends it, under its old id.
func TestGivenUpAndReplayed(t *testing.T) {
	w, r := newWorld(t), newReceiver(t)
	hook := w.hook(r.URL).Webhook
	r.answers(always(404))
	w.put("a")
	w.notify(hook.ID)
	w.pass(DefaultGiveUpAfter)
	w.notify(hook.ID)
	if p := w.read(hook.ID); p.Dead != 1 || p.Pending != 0 || w.outcomes["dead"] != 1 {
		t.Fatalf("%+v", p)
	}
	w.pass(time.Hour)
	w.notify(hook.ID)
	r.is(w)
	r.answers(always(200))
	if got, err := w.s.Replay(t.Context(), Caller{Owner: "bob"}, hook.ID); protocol.KindOf(err) != protocol.KindNotFound {
		t.Errorf("another owner's replay: %v, %v", got, err)
	}
	if got, err := w.s.Replay(t.Context(), Caller{Owner: "ann"}, hook.ID); err != nil || got.Replayed != 1 {
		t.Errorf("%v, %v", got, err)
	}
	w.notify(hook.ID)
	r.is(w, "a committed")
	if r.ids[0] != "msg_"+hook.ID.String()+"_1" {
		t.Error(r.ids)
	}
}

// What a stop of the daemon cuts short has not failed.
func TestStopIsNoFailure(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	hanging := endpoint(t, func(_ http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		cancel()
		<-req.Context().Done()
	})
	hook := w.hook(hanging.URL).Webhook
	w.put("a")
	if _, _, err := w.db.NumberEvents(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.s.FanOut(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.s.Notify(ctx, hook.ID); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if p := w.read(hook.ID); p.Pending != 1 || p.FailedAt != nil || len(w.outcomes) != 0 {
		t.Errorf("%+v, %v", p, w.outcomes)
	}
}

func TestCreate(t *testing.T) {
	w := newWorld(t)
	ann, note, long := Caller{Owner: "ann"}, "for CI", strings.Repeat("x", 256)
	events := []protocol.EventKind{protocol.EventFileCommitted}
	for name, tt := range map[string]struct {
		caller Caller
		n      protocol.CreateWebhook
		kind   protocol.Kind
	}{
		"plain":               {ann, protocol.CreateWebhook{URL: "https://example.com/", Events: events, Note: &note}, ""},
		"no url":              {ann, protocol.CreateWebhook{Events: events}, protocol.KindBadRequest},
		"no events":           {ann, protocol.CreateWebhook{URL: "https://example.com/"}, protocol.KindBadRequest},
		"the test":            {ann, protocol.CreateWebhook{URL: "https://example.com/", Events: []protocol.EventKind{protocol.EventTest}}, protocol.KindBadRequest},
		"a long note":         {ann, protocol.CreateWebhook{URL: "https://example.com/", Events: events, Note: &long}, protocol.KindBadRequest},
		"a url with a user":   {ann, protocol.CreateWebhook{URL: "https://a@example.com/", Events: events}, protocol.KindBadRequest},
		"everything":          {ann, protocol.CreateWebhook{URL: "https://example.com/", Events: events, Everything: true}, protocol.KindForbidden},
		"everything, allowed": {Caller{Owner: "ann", All: true}, protocol.CreateWebhook{URL: "https://example.com/", Events: events, Everything: true}, ""},
	} {
		made, err := w.s.Create(t.Context(), tt.caller, tt.n)
		if protocol.KindOf(err) != tt.kind {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && (!strings.HasPrefix(made.Secret, "whsec_") || made.Webhook.Owner != "ann" || made.Webhook.Everything != tt.n.Everything) {
			t.Errorf("%s: %+v", name, made)
		}
	}
	for caller, want := range map[Caller]int{ann: 2, {Owner: "bob"}: 0, {Owner: "bob", All: true}: 2} {
		l, err := w.s.List(t.Context(), caller)
		if err != nil || len(l.Webhooks) != want {
			t.Errorf("%+v sees %d, %v", caller, len(l.Webhooks), err)
		}
		if text, err := json.Marshal(l); err != nil || strings.Contains(string(text), "secret") || strings.Contains(string(text), "whsec") {
			t.Errorf("a list tells secrets: %s", text)
		}
	}
}

func TestTestSendsNow(t *testing.T) {
	w := newWorld(t)
	var types []string
	status := 200
	s := endpoint(t, func(rw http.ResponseWriter, r *http.Request) {
		var m protocol.Event
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		types = append(types, string(m.Type))
		rw.WriteHeader(status)
	})
	hook := w.hook(s.URL).Webhook
	got, err := w.s.Test(t.Context(), Caller{Owner: "ann"}, hook.ID)
	if err != nil || !got.OK || *got.Status != 200 || got.Error != nil || !slices.Equal(types, []string{"webhook.test"}) {
		t.Errorf("%+v, %v, %v", got, err, types)
	}
	status = 401
	got, err = w.s.Test(t.Context(), Caller{Owner: "bob", All: true}, hook.ID)
	if err != nil || got.OK || *got.Status != 401 || *got.Error != "the endpoint answered 401" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := w.s.Test(t.Context(), Caller{Owner: "bob"}, hook.ID); protocol.KindOf(err) != protocol.KindNotFound {
		t.Errorf("another owner's: %v", err)
	}
	if p := w.read(hook.ID); p.Delivered != 0 || p.FailedAt != nil {
		t.Errorf("a test is counted: %+v", p)
	}
}

func TestPauses(t *testing.T) {
	for attempts, want := range map[int]time.Duration{1: 5 * time.Second, 2: 10 * time.Second, 5: 80 * time.Second, 10: 2560 * time.Second, 11: time.Hour, 1000: time.Hour} {
		if got := retryAfter(attempts); got > want || got < want*3/4 {
			t.Errorf("after %d attempts %s, want up to a quarter less than %s", attempts, got, want)
		}
	}
	for failures, want := range map[int]time.Duration{0: 0, 2: 0, 3: 5 * time.Second, 4: 10 * time.Second, 10: 640 * time.Second, 11: 15 * time.Minute, 1000: 15 * time.Minute} {
		if got := restOf(failures); got != want {
			t.Errorf("after %d failures %s, want %s", failures, got, want)
		}
	}
}
