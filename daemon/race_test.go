package daemon_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// meanwhile is what others do to the content of old between two steps of
// somebody else.
var meanwhile = map[string]func(w *world, old protocol.UID, data []byte){
	"nothing": func(*world, protocol.UID, []byte) {},
	"delete":  func(w *world, old protocol.UID, _ []byte) { w.delete(ann, old) },
	"delete and sweep": func(w *world, old protocol.UID, _ []byte) {
		w.delete(ann, old)
		w.round()
	},
	"sweep": func(w *world, _ protocol.UID, _ []byte) { w.round() },
	"put again": func(w *world, _ protocol.UID, data []byte) {
		w.put(bob, "again", data)
	},
	"put again and sweep": func(w *world, _ protocol.UID, data []byte) {
		w.put(bob, "again", data)
		w.round()
	},
	"delete, put again and sweep": func(w *world, old protocol.UID, data []byte) {
		w.delete(ann, old)
		w.put(bob, "again", data)
		w.round()
	},
	"put again, delete and sweep": func(w *world, old protocol.UID, data []byte) {
		w.put(bob, "again", data)
		w.delete(ann, old)
		w.round()
	},
	"expire and sweep": func(w *world, old protocol.UID, _ []byte) {
		at := w.clocks.Now().Add(time.Second)
		expiry := &at
		_, err := w.db.PatchFile(context.Background(), ann, old, meta.FilePatch{ExpiresAt: &expiry})
		must(w.t, err)
		w.clocks.pass(2 * time.Second)
		w.round()
	},
	"damage, put again and sweep": func(w *world, old protocol.UID, data []byte) {
		w.damage(ann, old, 7)
		w.put(bob, "again", data)
		w.round()
	},
}

// settled checks that nothing but what lives is left.
func (w *world) settled() {
	w.t.Helper()
	w.round()
	r := w.check()
	if len(r.Pending) != 0 {
		w.t.Fatalf("pending after a sweep without grace: %v", r.Pending)
	}
}

// TestClaimAgainstEverybody: whatever happens between any two steps of a claim,
// it either gives a file that reads, or is refused and the upload goes on.
func TestClaimAgainstEverybody(t *testing.T) {
	for _, step := range []string{"before", "between the rounds", "before sampling", "after sampling", "after"} {
		for name, act := range meanwhile {
			t.Run(step+" "+name, func(t *testing.T) {
				w := newWorld(t, setup{})
				defer w.end()
				data := noise(1, 300<<10)
				old := w.put(ann, "old", data)
				u := w.begin(ann, "new", data)
				at := func(s string) {
					if s == step {
						act(w, old, data)
					}
				}
				at("before")
				c, err := w.StartClaim(t.Context(), ann, u.UID, digestOf(data), "s")
				if err == nil {
					at("between the rounds")
					w.sampling, w.sampled = func() { at("before sampling") }, func() { at("after sampling") }
					_, err = w.FinishClaim(t.Context(), ann, u.UID, c.Nonce, w.proof(u.UID, c, data), "s")
					w.sampling, w.sampled = nil, nil
				}
				at("after")
				if err != nil {
					wantKind(t, err, protocol.KindClaimRefused)
					must(t, w.sendParts(ann, u, data))
					w.commit(ann, u.UID)
				} else if name == "delete" && step != "after" {
					t.Error("a content without files was claimed")
				}
				w.reads(ann, u.UID, data)
				w.settled()
				w.reads(ann, u.UID, data)
			})
		}
	}
}

// TestSweepAgainstEverybody: whatever happens between any two verbs of a round,
// or between its deletes, what lives reads and the next round leaves nothing
// over.
func TestSweepAgainstEverybody(t *testing.T) {
	acts := map[string]func(w *world, u protocol.Upload, data []byte){
		"commit":         func(w *world, u protocol.Upload, _ []byte) { w.commit(ann, u.UID) },
		"put and delete": func(w *world, _ protocol.Upload, data []byte) { w.delete(bob, w.put(bob, "x", data)) },
		"put, delete put": func(w *world, _ protocol.Upload, data []byte) {
			w.delete(bob, w.put(bob, "x", data))
			w.put(bob, "y", data)
		},
		"abort":      func(w *world, u protocol.Upload, _ []byte) { must(w.t, w.Abort(w.t.Context(), ann, u.UID)) },
		"part again": func(w *world, u protocol.Upload, data []byte) { must(w.t, w.sendParts(ann, u, data)) },
		"claim": func(w *world, u protocol.Upload, data []byte) {
			if _, err := w.claim(ann, u.UID, data); err != nil {
				wantKind(w.t, err, protocol.KindClaimRefused)
				w.commit(ann, u.UID)
			}
		},
	}
	for _, verb := range append(slices.Clone(sweepVerbs), "delete", "deleted") {
		for name, act := range acts {
			t.Run(verb+" "+name, func(t *testing.T) {
				s := &around{}
				w := newWorld(t, setup{wrap: func(b store.Backend) store.Backend { s.Backend, s.Assembler = b, b.(store.Assembler); return s }})
				defer w.end()
				data := noise(1, 300<<10)
				kept := w.put(ann, "kept", data)
				w.put(ann, "kept too", data) // offers the blob of the first
				w.delete(ann, w.putSmall(ann, "gone", []byte("gone")))
				u := w.begin(ann, "open", data)
				must(t, w.sendParts(ann, u, data))
				var did atomic.Bool // objects are deleted a few at a time
				once := func(at string) {
					if at == verb && did.CompareAndSwap(false, true) {
						act(w, u, data)
					}
				}
				w.sweeping, s.at = once, once
				w.round()
				if !did.Load() {
					t.Fatalf("the round did not come to %s", verb)
				}
				w.sweeping, s.at = nil, nil
				w.reads(ann, kept, data)
				if got, err := w.Upload(t.Context(), ann, u.UID); err == nil {
					if got.State == protocol.UploadOpen {
						w.commit(ann, u.UID)
					}
					w.reads(ann, u.UID, data)
				}
				w.settled()
				w.reads(ann, kept, data)
			})
		}
	}
}

// TestCommitAgainstTheSweep: a commit folds into a content that goes away
// between its reading of the parts and its transaction.
func TestCommitAgainstTheSweep(t *testing.T) {
	for name, act := range meanwhile {
		t.Run(name, func(t *testing.T) {
			s := &around{}
			w := newWorld(t, setup{wrap: func(b store.Backend) store.Backend { s.Backend, s.Assembler = b, b.(store.Assembler); return s }})
			defer w.end()
			data := noise(1, 300<<10)
			old := w.put(ann, "old", data)
			u := w.begin(ann, "new", data)
			must(t, w.sendParts(ann, u, data))
			var did atomic.Bool
			s.at = func(at string) {
				if at == "sync" && did.CompareAndSwap(false, true) {
					act(w, old, data)
				}
			}
			w.commit(ann, u.UID)
			if s.at = nil; !did.Load() {
				t.Fatal("the commit did not sync")
			}
			w.reads(ann, u.UID, data)
			w.settled()
			w.reads(ann, u.UID, data)
		})
	}
}

// around is a local store that tells of what it does.
type around struct {
	store.Backend
	store.Assembler
	at func(string)
}

func (a *around) tell(what string) {
	if a.at != nil {
		a.at(what)
	}
}

func (a *around) Delete(ctx context.Context, key store.Key) error {
	a.tell("delete")
	err := a.Backend.Delete(ctx, key)
	a.tell("deleted")
	return err
}

// MakeDir keeps the backend's directories made ahead.
func (a *around) MakeDir(ctx context.Context, dir store.Dir) error {
	return a.Backend.(store.DirMaker).MakeDir(ctx, dir)
}

func (a *around) Assemble(ctx context.Context, key store.Key) (store.Assembly, error) {
	asm, err := a.Assembler.Assemble(ctx, key)
	return syncing{asm, a}, err
}

type syncing struct {
	store.Assembly
	a *around
}

func (s syncing) Sync(ctx context.Context) error {
	s.a.tell("sync")
	return s.Assembly.Sync(ctx)
}

// TestSweepEndsWithItsContext: a round that is told to end stops at once, and
// the next one goes on.
func TestSweepEndsWithItsContext(t *testing.T) {
	for _, verb := range sweepVerbs {
		w := newWorld(t, setup{})
		w.delete(ann, w.putSmall(ann, "f", []byte("bytes")))
		ctx, cancel := context.WithCancel(t.Context())
		w.sweeping = func(v string) {
			if v == verb {
				cancel()
			}
		}
		if _, err := w.sweep.Round(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", verb, err)
		}
		cancel()
		w.sweeping = nil
		w.settled()
		if n := len(w.objects()); n != 0 {
			t.Errorf("%s: %d objects are left", verb, n)
		}
		w.end()
	}
}
