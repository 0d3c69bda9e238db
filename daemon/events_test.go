package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/event"
	"github.com/osproxy/osproxy/daemon/file"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
)

// stopped is a daemon that does not run, and the read side of its files.
func stopped(t *testing.T) (*Daemon, *file.Service) {
	t.Helper()
	d, err := New(t.Context(), config(t), "test", quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d, file.New(file.Config{Meta: d.in.DB, Stores: d.in.Stores, Verify: file.VerifyFirst, Logger: quiet()})
}

// hearing has consumers called until the test ends.
func hearing(t *testing.T, d *Daemon, consumers ...event.Consumer) {
	t.Helper()
	for _, c := range consumers {
		if err := d.in.DB.RegisterConsumer(t.Context(), c.Name); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(started(event.New(event.Config{Meta: d.in.DB, Consumers: consumers, Logger: quiet()}).Run))
}

func putText(t *testing.T, d *Daemon, media, text string) protocol.UID {
	t.Helper()
	r, err := d.uploads.PutFile(t.Context(), "ann", upload.NewFile{Name: "n", MediaType: &media, Body: []byte(text)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r.UID
}

// until waits for something to become true.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !is() {
		select {
		case <-ctx.Done():
			t.Fatalf("within a minute it did not come to %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

// TestExampleConsumer: what CONTRIBUTING.md shows does what it says.
func TestExampleConsumer(t *testing.T) {
	d, files := stopped(t)
	hearing(t, d, countingLines(files))
	gone := putText(t, d, "text/plain", "deleted\n")
	if err := files.Delete(t.Context(), "ann", gone); err != nil {
		t.Fatal(err)
	}
	binary := putText(t, d, "image/png", "\n\n")
	text := putText(t, d, "text/plain", "one\ntwo\nthree\n")
	until(t, "the lines of the last file", func() bool {
		f, err := files.File(t.Context(), "ann", text)
		if err != nil {
			t.Fatal(err)
		}
		return f.Meta["lines"] == "3"
	})
	if f, err := files.File(t.Context(), "ann", binary); err != nil || f.Meta != nil {
		t.Errorf("a picture has %v (%v)", f.Meta, err)
	}
}

// TestDamageIsNamedInTheLog: each File whose content is damaged, and healed.
func TestDamageIsNamedInTheLog(t *testing.T) {
	d, _ := stopped(t)
	var log lockedBuffer
	hearing(t, d, tellingOfDamage(slog.New(slog.NewTextHandler(&log, nil))))
	uid := putText(t, d, "text/plain", "abc")
	_, c, err := d.in.DB.Content(t.Context(), "ann", uid)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.in.DB.MarkDamaged(t.Context(), c.ID, c.Gen); err != nil {
		t.Fatal(err)
	}
	putText(t, d, "text/plain", "abc")
	until(t, "tell that the file is whole again", func() bool { return strings.Contains(log.String(), "whole again\" uid="+uid.String()) })
	if text := log.String(); strings.Count(text, "level=ERROR") != 1 || !strings.Contains(text, "put the same bytes again\" uid="+uid.String()+" owner=ann name=n") {
		t.Errorf("the log says %s", text)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestParkedEventIsDoneAsAJob: by its consumer, or never where that is gone.
func TestParkedEventIsDoneAsAJob(t *testing.T) {
	d, files := stopped(t)
	uid := putText(t, d, "text/plain", "abc\n")
	hub := event.New(event.Config{Consumers: []event.Consumer{countingLines(files)}})
	media := "text/plain"
	message := meta.Event{Kind: protocol.EventFileCommitted, Owner: "ann", UID: uid, MediaType: &media}.Message()
	if err := redo(t.Context(), hub, meta.ParkedEvent{Consumer: "count-lines", Event: message}); err != nil {
		t.Error(err)
	}
	if f, err := files.File(t.Context(), "ann", uid); err != nil || f.Meta["lines"] != "1" {
		t.Errorf("%v (%v)", f.Meta, err)
	}
	if err := redo(t.Context(), hub, meta.ParkedEvent{Consumer: "gone", Event: message}); !errors.Is(err, event.ErrNoConsumer) {
		t.Errorf("of a consumer that is gone: %v", err)
	}
}

// TestWebhookIsSent: what happens in a running daemon arrives where a webhook
// leads, and is not sent where the configuration does not allow it.
func TestWebhookIsSent(t *testing.T) {
	got := make(chan protocol.Event, 10)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var e protocol.Event
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			t.Error(err)
		}
		got <- e
	}))
	defer s.Close()
	for _, allowed := range []bool{false, true} {
		cfg := config(t)
		cfg.Webhooks.AllowPrivate, cfg.Webhooks.AllowHTTP, cfg.Webhooks.AnyPort = allowed, true, true
		d, stop := running(t, cfg)
		until(t, "know the consumer", func() bool {
			_, _, err := d.in.DB.FanOut(t.Context())
			return err == nil
		})
		w, err := d.in.DB.CreateWebhook(t.Context(), meta.Webhook{Owner: "ann", URL: s.URL, Secret: []byte("k"), Kinds: protocol.EventKinds()})
		if err != nil {
			t.Fatal(err)
		}
		uid := putText(t, d, "text/plain", "abc")
		if allowed {
			if e := <-got; *e.Data.UID != uid || e.Type != protocol.EventFileCommitted {
				t.Errorf("%+v", e)
			}
		} else {
			until(t, "refuse", func() bool {
				read, err := d.in.DB.Webhook(t.Context(), "ann", w.ID)
				return err == nil && strings.Contains(read.Error, "may not reach")
			})
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(got); n != 0 {
		t.Errorf("%d more arrived", n)
	}
}
