package upload_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/once"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
	"github.com/osproxy/osproxy/store/storetest"
)

// TestOnce: the same request under one key has one effect and one answer,
// whether it comes later or at the same time, for 24 h.
func TestOnce(t *testing.T) {
	requests := map[string]func(*bench, *once.Request) (once.Reply, error){
		"begin": func(b *bench, o *once.Request) (once.Reply, error) {
			expires := protocol.TimeOf(newClock().Now().Add(time.Hour))
			return b.Begin(b.t.Context(), owner, protocol.BeginUpload{Name: "a", Size: ptr(int64(3)), ExpiresAt: &expires}, o)
		},
		"resume": func(b *bench, o *once.Request) (once.Reply, error) {
			return b.Begin(b.t.Context(), owner, protocol.BeginUpload{Name: "a", Size: ptr(int64(3)), Fingerprint: &protocol.Fingerprint{}, Resume: true}, o)
		},
		"put": func(b *bench, o *once.Request) (once.Reply, error) {
			expires := protocol.TimeOf(newClock().Now().Add(time.Hour))
			return b.PutFile(b.t.Context(), owner, upload.NewFile{Name: "a", Body: []byte("abc"), ExpiresAt: &expires}, o)
		},
	}
	for name, request := range requests {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, b *bench) {
				if name == "resume" {
					_, err := request(b, nil)
					must(t, err)
				}
				key := &once.Request{Key: "k", Sum: [32]byte{1}}
				replies := make([]once.Reply, 8)
				var wg sync.WaitGroup
				for i := range replies {
					wg.Go(func() {
						var err error
						if replies[i], err = request(b, key); err != nil {
							t.Error(err)
						}
					})
				}
				wg.Wait()
				b.restart("boot 1")
				b.clock.add(2 * time.Hour) // what the request said would be refused now
				later, err := request(b, key)
				must(t, err)
				for _, r := range append(replies, later) {
					if r.UID != replies[0].UID || r.Created == (name == "resume") || string(r.Body) != string(replies[0].Body) {
						t.Errorf("answers %s and %s", replies[0].Body, r.Body)
					}
				}
				_, err = request(b, &once.Request{Key: "k", Sum: [32]byte{2}})
				wants(t, err, protocol.KindIdempotencyMismatch)
				b.clock.add(24 * time.Hour)
				if name == "resume" {
					r, err := request(b, key)
					must(t, err)
					if r.UID != later.UID {
						t.Error("after a day another upload was found")
					}
				}
			})
		})
	}
}

// TestOnceOwners: one key of two owners is two keys.
func TestOnceOwners(t *testing.T) {
	b := newEnded(t, setup{})
	key := &once.Request{Key: "k"}
	one, err := b.Begin(t.Context(), "one", protocol.BeginUpload{Name: "a"}, key)
	must(t, err)
	two, err := b.Begin(t.Context(), "two", protocol.BeginUpload{Name: "a"}, key)
	must(t, err)
	if one.UID == two.UID {
		t.Error("an answer crossed from one owner to another")
	}
}

// TestOnceFailed: an error is not kept; the request has another try.
func TestOnceFailed(t *testing.T) {
	faulty := storetest.NewFaulty(mem.New())
	b := newEnded(t, setup{backend: faulty})
	key := &once.Request{Key: "k"}
	put := func(f upload.NewFile) (once.Reply, error) { return b.PutFile(t.Context(), owner, f, key) }
	good := upload.NewFile{Name: "a", Body: []byte("abc")}
	_, err := put(upload.NewFile{Name: "..", Body: []byte("abc")})
	wants(t, err, protocol.KindBadName)
	faulty.Queue(storetest.OpPut, storetest.Fault{Before: store.ErrFull})
	_, err = put(good)
	wants(t, err, protocol.KindStoreFull)
	r, err := put(good)
	must(t, err)
	b.holds(r.UID, good.Body)
}

// TestOnceWaits: a duplicate waits for the first, as long as its caller does.
func TestOnceWaits(t *testing.T) {
	entered, proceed := make(chan struct{}), make(chan struct{})
	backend := &hooked{Backend: mem.New(), put: func() { close(entered); <-proceed }}
	b := newEnded(t, setup{backend: backend})
	key := &once.Request{Key: "k"}
	f := upload.NewFile{Name: "a", Body: []byte("abc")}
	first := make(chan once.Reply, 1)
	go func() {
		r, err := b.PutFile(t.Context(), owner, f, key)
		if err != nil {
			t.Error(err)
		}
		first <- r
	}()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := b.PutFile(ctx, owner, f, key)
		gone <- err
	}()
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("a duplicate that gave up: %v", err)
	}
	close(proceed)
	one := <-first
	two, err := b.PutFile(t.Context(), owner, f, key)
	must(t, err)
	if one.UID != two.UID {
		t.Error("two files under one key")
	}
}
