package file

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/storetest"
)

// look is what Check says of a range.
func (b *bench) look(uid protocol.UID, off, n int64) error {
	c, err := b.svc.Open(b.t.Context(), owner, uid)
	if err != nil {
		return err
	}
	return errors.Join(c.Check(b.t.Context(), off, n), c.Close())
}

// impatient is over with a store that tries once.
func (b *bench) impatient(backend store.Backend) {
	b.svc.cfg.Stores = map[string]*store.Store{"disk": store.New("disk", backend, store.Options{Attempts: 1})}
}

// A block that was read lately still has to be fetched: that its store is away,
// or has other bytes by now, is told of before anything is sent.
func TestCheckOfAKnownBlockMeetsItsStore(t *testing.T) {
	away := storetest.Fault{Before: &store.BusyError{After: 9e9, Err: io.ErrNoProgress}}
	cut := storetest.Fault{Break: io.ErrUnexpectedEOF}
	data := noise(2*bs + 1000)
	for _, kind := range []string{"mem", "streamed"} {
		for _, mode := range []VerifyMode{VerifyFirst, VerifyOff} {
			for name, fault := range map[string]storetest.Fault{"away": away, "cut": cut} {
				for what, r := range map[string][2]int64{"all": {0, 2*bs + 1000}, "a range": {bs + 7, 100}, "across": {bs - 5, 10}} {
					b := newBench(t, kind, mode)
					f := storetest.NewFaulty(b.backend)
					b.impatient(f)
					uid := b.put(data, bs+bs/2)
					if _, err := b.serve(uid, 0, int64(len(data))); err != nil {
						t.Fatal(err)
					}
					f.Queue(storetest.OpGet, slices.Repeat([]storetest.Fault{fault}, 1000)...)
					err := b.look(uid, r[0], r[1])
					e, ok := errors.AsType[*protocol.Error](err)
					if !ok || e.Kind != protocol.KindStoreUnavailable || name == "away" && e.RetryAfter != 9e9 {
						t.Errorf("%s, %s, %s, %s: %v", kind, mode, name, what, err)
					}
					if mc := b.contentOf(uid); mc.State != meta.ContentLive {
						t.Errorf("%s, %s, %s, %s: the content is %s", kind, mode, name, what, mc.State)
					}
				}
			}
		}
	}
}

func TestCheckOfAKnownBlockMeetsDamage(t *testing.T) {
	for name, harm := range map[string]func([]byte) []byte{
		"missing":   func([]byte) []byte { return nil },
		"truncated": func(o []byte) []byte { return o[:10] },
		"flipped":   func(o []byte) []byte { o[bs/2] ^= 1; return o },
	} {
		b := newBench(t, "mem", VerifyFirst)
		uid := b.put(noise(bs + 5))
		if _, err := b.serve(uid, 0, bs+5); err != nil {
			t.Fatal(err)
		}
		b.change(uid, 0, harm)
		got, err := b.serve(uid, 0, bs+5)
		if protocol.KindOf(err) != protocol.KindContentCorrupt || len(got) != 0 {
			t.Errorf("%s: %d bytes left, %v", name, len(got), err)
		}
	}
}

// Small contents are kept in memory, but not all that are known to be good.
func TestCheckOfASmallContentThatIsNotKept(t *testing.T) {
	b := newBench(t, "mem", VerifyFirst)
	f := storetest.NewFaulty(b.backend)
	b.impatient(f)
	data := noise(1000)
	uid := b.put(data)
	if _, err := b.serve(uid, 0, 1000); err != nil {
		t.Fatal(err)
	}
	f.Queue(storetest.OpGet, slices.Repeat([]storetest.Fault{{Before: errors.New("away")}}, 1000)...)
	must(t, b.look(uid, 0, 1000))
	b.svc.smalls = newSmalls()
	wantKind(t, b.look(uid, 0, 1000), protocol.KindStoreUnavailable)
}

// Where there is no room to read ahead the look begins what is sent.
func TestWhatALookBeganIsNotAskedForAgain(t *testing.T) {
	for _, mode := range []VerifyMode{VerifyFirst, VerifyOff} {
		b := newBench(t, "streamed", mode)
		g := newGets(b.backend)
		b.over(g)
		data := noise(2 * bs)
		uid := b.put(data, bs+bs/2)
		if _, err := b.serve(uid, 0, 2*bs); err != nil {
			t.Fatal(err)
		}
		g.taken()
		for _, c := range []struct {
			off, n int64
			want   []int64
		}{{0, 2 * bs, []int64{bs, bs / 2, bs / 2}}, {5, 100, []int64{100}}, {bs + bs/2 - 5, 10, []int64{5, 5}}} {
			got, err := b.serve(uid, c.off, c.n)
			if err != nil || !bytes.Equal(got, data[c.off:c.off+c.n]) {
				t.Errorf("%s: %d bytes, %v", mode, len(got), err)
			}
			if asked := g.taken(); !slices.Equal(asked, c.want) {
				t.Errorf("%s, %d from %d: asked for %v, want %v", mode, c.n, c.off, asked, c.want)
			}
		}
		// It is given up where something else is sent, or nothing.
		c, err := b.svc.Open(t.Context(), owner, uid)
		must(t, err)
		must(t, c.Check(t.Context(), 5, 100))
		var got bytes.Buffer
		must(t, c.WriteRange(t.Context(), &got, 0, 2*bs))
		if !bytes.Equal(got.Bytes(), data) {
			t.Errorf("%s: wrong bytes", mode)
		}
		must(t, c.Check(t.Context(), 5, 100))
		must(t, c.Close())
	}
}
