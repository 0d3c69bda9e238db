package daemon_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// TestPutsAndDeletesLeaveNothing: what is deleted frees its space, and a day
// later the database has no row of it.
func TestPutsAndDeletesLeaveNothing(t *testing.T) {
	w := newWorld(t, setup{})
	defer w.end()
	for i := range 1000 {
		data := fmt.Appendf(nil, "file %d", i)
		var uid protocol.UID
		if i%10 == 0 {
			uid = w.put(ann, "f", data)
		} else {
			uid = w.putSmall(ann, "f", data)
		}
		w.delete(ann, uid)
	}
	if r := w.round(); r.Deleted != 1000 || len(w.objects()) != 0 {
		t.Fatalf("%+v, and %d objects are left", r, len(w.objects()))
	}
	if p := w.check().Pending; len(p) != 0 {
		t.Fatalf("pending: %v", p)
	}
	w.clocks.pass(24*time.Hour + time.Second)
	if r := w.round(); r.Forgotten != 1000 || r.Pruned != 2000 {
		t.Errorf("a day later: %+v", r)
	}
	if c := w.check().Counts; c.Blobs != 0 || c.Contents != 0 || c.Files != 0 {
		t.Errorf("rows left: %+v", c)
	}
}

func TestDeletingOneCopyLeavesTheOther(t *testing.T) {
	w := newWorld(t, setup{})
	defer w.end()
	data := noise(1, 9*mib)
	first := w.put(ann, "same", data)
	second := w.put(ann, "same", data)
	third := w.putSmall(bob, "other", data[:100])
	fourth := w.put(bob, "other", data)
	w.delete(ann, first)
	w.round()
	w.reads(ann, second, data)
	w.reads(bob, third, data[:100])
	w.reads(bob, fourth, data)
	w.delete(ann, second)
	w.round()
	w.reads(bob, fourth, data)
	w.delete(bob, third)
	w.delete(bob, fourth)
	w.round()
	if n := len(w.objects()); n != 0 {
		t.Errorf("%d objects are left", n)
	}
}

func TestGraceKeepsObjects(t *testing.T) {
	w := newWorld(t, setup{grace: time.Hour})
	defer w.end()
	data := noise(1, 9*mib)
	uid := w.put(ann, "f", data)
	reading, err := w.files.Open(t.Context(), ann, uid)
	must(t, err)
	must(t, reading.Check(t.Context(), 0, reading.Size())) // as an answer begins
	w.delete(ann, uid)
	w.clocks.pass(time.Hour - time.Second)
	w.round()
	var got bytes.Buffer
	must(t, errors.Join(reading.WriteRange(t.Context(), &got, 0, reading.Size()), reading.Close()))
	if !bytes.Equal(got.Bytes(), data) {
		t.Error("who began before the deletion reads other bytes")
	}
	w.clocks.pass(2 * time.Second)
	if r := w.round(); r.Deleted != 1 || r.Bytes != int64(len(data)) {
		t.Errorf("after the grace period: %+v", r)
	}
}

func TestExpiredIsGoneAtOnceAndFreedLater(t *testing.T) {
	w := newWorld(t, setup{})
	defer w.end()
	data := noise(1, 9*mib)
	soon := protocol.TimeOf(w.clocks.Now().Add(time.Minute))
	size := int64(len(data))
	r, err := w.Begin(t.Context(), ann, protocol.BeginUpload{Name: "f", Size: &size, ExpiresAt: &soon}, nil)
	must(t, err)
	u, err := w.Upload(t.Context(), ann, r.UID)
	must(t, err)
	must(t, w.sendParts(ann, u, data))
	w.commit(ann, u.UID)
	r, err = w.Begin(t.Context(), ann, protocol.BeginUpload{Name: "open", Size: &size, ExpiresAt: &soon}, nil)
	must(t, err)
	open, err := w.Upload(t.Context(), ann, r.UID)
	must(t, err)
	must(t, w.sendParts(ann, open, data[:open.PartSize]))
	w.clocks.pass(time.Minute)
	_, err = w.files.File(t.Context(), ann, u.UID)
	wantKind(t, err, protocol.KindNotFound)
	_, err = w.Upload(t.Context(), ann, open.UID)
	wantKind(t, err, protocol.KindNotFound)
	if r := w.round(); r.Expired != 2 || len(w.objects()) != 0 {
		t.Errorf("%+v, %d objects are left", r, len(w.objects()))
	}
}

func TestAbandonedUploadsEnd(t *testing.T) {
	w := newWorld(t, setup{})
	defer w.end()
	data := noise(1, 9*mib)
	idle, busy := w.begin(ann, "idle", data), w.begin(ann, "busy", data)
	must(t, w.sendParts(ann, idle, data[:idle.PartSize]))
	must(t, w.sendParts(ann, busy, data[:busy.PartSize]))
	w.clocks.pass(6 * 24 * time.Hour)
	must(t, w.sendParts(ann, busy, data[:busy.PartSize]))
	if r := w.round(); r.Abandoned != 0 {
		t.Errorf("too early: %+v", r)
	}
	w.clocks.pass(24*time.Hour + time.Second)
	if r := w.round(); r.Abandoned != 1 {
		t.Errorf("%+v, want one abandoned", r)
	}
	_, err := w.Upload(t.Context(), ann, idle.UID)
	wantKind(t, err, protocol.KindNotFound)
	must(t, w.sendParts(ann, busy, data))
	w.commit(ann, busy.UID)
	w.reads(ann, busy.UID, data)
	w.round()
	if p := w.check().Pending; len(p) != 0 {
		t.Errorf("pending: %v", p)
	}
}

// TestAbandonedChunksEnd: so do the chunks of a link that nobody merges, and what
// they held is given back. A link of which nothing came has nothing to end.
func TestAbandonedChunksEnd(t *testing.T) {
	w := newWorld(t, setup{})
	defer w.end()
	data := noise(1, 5000)
	chunk := func(l upload.Linked, n protocol.PartNumber) error {
		sum := md5.Sum(data)
		_, err := w.PutLinkedChunk(t.Context(), l, protocol.BeginUpload{Name: "in chunks"}, n, upload.Body{Reader: bytes.NewReader(data), Length: int64(len(data)), MD5: &sum})
		return err
	}
	var links []upload.Linked
	for range 2 {
		uid, err := w.minter.Next(t.Context())
		must(t, err)
		links = append(links, upload.Linked{Owner: ann, UID: uid, MaxSize: -1})
		must(t, chunk(links[len(links)-1], 1))
	}
	idle, busy := links[0], links[1]
	w.clocks.pass(6 * 24 * time.Hour)
	must(t, chunk(busy, 2))
	if r := w.round(); r.Abandoned != 0 {
		t.Errorf("too early: %+v", r)
	}
	w.clocks.pass(24*time.Hour + time.Second)
	if r := w.round(); r.Abandoned != 1 {
		t.Errorf("%+v, want one abandoned", r)
	}
	_, err := w.Chunks(t.Context(), ann, idle.UID)
	wantKind(t, err, protocol.KindNotFound)
	_, err = w.MergeLinked(t.Context(), idle, upload.Merge{Num: 1, Size: int64(len(data)), MD5: md5.Sum(data)})
	wantKind(t, err, protocol.KindNotFound)
	twice := append(bytes.Clone(data), data...)
	_, err = w.MergeLinked(t.Context(), busy, upload.Merge{Num: 2, Size: int64(len(twice)), MD5: md5.Sum(twice)})
	must(t, err)
	w.reads(ann, busy.UID, twice)
	w.clocks.pass(48 * time.Hour)
	w.round()
	if keys := w.objects(); len(keys) != 2 {
		t.Errorf("there are %d objects, want the two chunks of the file", len(keys))
	}
}

// TestClockJumps: a clock that is set has nothing doomed or deleted for an
// hour, in which somebody can see it and set it right.
func TestClockJumps(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, jump := range []time.Duration{time.Hour, -time.Hour, time.Hour + time.Second, -time.Hour - time.Second, 10 * year, -10 * year} {
		t.Run(jump.String(), func(t *testing.T) {
			w := newWorld(t, setup{grace: 10 * time.Minute})
			defer w.end()
			data, soon := noise(1, 100), w.clocks.Now().Add(24*time.Hour)
			expiry := &soon
			kept := w.putSmall(ann, "kept", data)
			_, err := w.db.PatchFile(t.Context(), ann, kept, meta.FilePatch{ExpiresAt: &expiry})
			must(t, err)
			gone := w.putSmall(ann, "gone", noise(2, 100))
			open := w.begin(ann, "open", noise(3, 100))
			w.delete(ann, gone)
			w.clocks.set(jump)
			again := w.putSmall(ann, "again", noise(4, 100)) // and no uid twice
			if again <= gone || again == open.UID {
				t.Fatalf("uid %s after %s", again, gone)
			}
			stepped := jump.Abs() > time.Hour
			for range 6 {
				if held := w.sweep.Held(); (held != "") != stepped || stepped && !strings.HasPrefix(held, "clock stepped by "+jump.String()+";") {
					t.Fatalf("held: %q", held)
				}
				r := w.round()
				if stepped && (r.Deleted+r.Expired+r.Abandoned+r.Looked+r.Pruned > 0 || r.Held == "") {
					t.Fatalf("after a step: %+v", r)
				}
				w.clocks.pass(9*time.Minute + 59*time.Second)
			}
			if stepped {
				w.clocks.set(-jump) // it is set right, which is a step too
				w.clocks.pass(30 * time.Minute)
				if r := w.round(); r.Held == "" || r.Deleted > 0 {
					t.Fatalf("after the second step: %+v", r)
				}
				w.clocks.pass(30 * time.Minute)
			}
			w.clocks.pass(time.Hour)
			if r := w.round(); r.Held != "" || r.Expired > 0 || r.Abandoned > 0 {
				t.Fatalf("afterwards: %+v", r)
			}
			w.reads(ann, kept, data)
			w.reads(ann, again, noise(4, 100))
			w.delete(ann, again)
			w.round()
			w.clocks.pass(11 * time.Minute)
			w.round()
			if n := len(w.objects()); n != 1 {
				t.Errorf("%d objects, want that of the one file", n)
			}
		})
	}
}

// TestDeletedUnderAClockAhead: what was deleted while the clock was ten years
// ahead is freed all the same once it is right.
func TestDeletedUnderAClockAhead(t *testing.T) {
	const ahead = 10 * 365 * 24 * time.Hour
	w := newWorld(t, setup{grace: time.Hour})
	defer w.end()
	w.clocks.set(ahead)
	w.delete(ann, w.putSmall(ann, "f", noise(1, 100)))
	open := w.begin(ann, "open", noise(2, 100))
	must(t, w.sendParts(ann, open, noise(2, 100)))
	w.clocks.set(-ahead)
	if r := w.round(); r.Deleted != 0 {
		t.Errorf("without grace: %+v", r)
	}
	w.clocks.pass(time.Hour)
	if r := w.round(); r.Deleted != 1 {
		t.Errorf("%+v, want one deleted", r)
	}
	w.clocks.pass(7 * 24 * time.Hour)
	if r := w.round(); r.Abandoned != 1 || r.Forgotten != 1 {
		t.Errorf("%+v, want one abandoned and one forgotten", r)
	}
	w.clocks.pass(time.Hour)
	w.round()
	if n := len(w.objects()); n != 0 {
		t.Errorf("%d objects are left", n)
	}
}

// stuck is a store in which some objects cannot be deleted.
type stuck struct {
	store.Backend
	deletes atomic.Int64
	fails   func(store.Key) bool
}

func (s *stuck) Delete(ctx context.Context, key store.Key) error {
	s.deletes.Add(1)
	if s.fails != nil && s.fails(key) {
		return errors.New("stuck")
	}
	return s.Backend.Delete(ctx, key)
}

func TestStoreThatDoesNotDelete(t *testing.T) {
	s := &stuck{}
	w := newWorld(t, setup{mem: true, wrap: func(b store.Backend) store.Backend { s.Backend = b; return s }})
	defer w.end()
	for i := range 600 {
		w.delete(ann, w.putSmall(ann, "f", fmt.Appendf(nil, "%d", i)))
	}
	first := w.objects()[0]
	s.fails = func(k store.Key) bool { return k == first }
	r, err := w.sweep.Round(t.Context())
	must(t, err)
	if r.Failed != 1 || r.Deleted != 599 {
		t.Fatalf("one is stuck: %+v", r)
	}
	for i := range 600 {
		w.delete(ann, w.putSmall(ann, "f", fmt.Appendf(nil, "%d", i)))
	}
	s.fails = func(store.Key) bool { return true }
	s.deletes.Store(0)
	if r, err = w.sweep.Round(t.Context()); err != nil || r.Deleted != 0 || r.Failed != 601 || s.deletes.Load() > 20 {
		t.Fatalf("all are stuck: %+v after %d tries, %v", r, s.deletes.Load(), err)
	}
	s.fails = nil
	if r := w.round(); r.Deleted != 601 || len(w.objects()) != 0 {
		t.Fatalf("nothing is stuck any more: %+v", r)
	}
}

// TestObjectThatCameBack: a writer that was cut off makes an object again
// whose blob is gone; the tombstone has it deleted once more.
func TestObjectThatCameBack(t *testing.T) {
	w := newWorld(t, setup{})
	defer w.end()
	uid := w.putSmall(ann, "f", []byte("bytes"))
	key := store.Key(w.extent(ann, uid).Key)
	w.delete(ann, uid)
	w.round()
	must(t, w.stores["disk"].Put(t.Context(), key, strings.NewReader("bytes"), 5))
	if n := len(w.check().Pending); n != 1 {
		t.Errorf("%d pending, want the object that came back", n)
	}
	w.clocks.pass(23 * time.Hour)
	if r := w.round(); r.Forgotten != 0 {
		t.Errorf("too early: %+v", r)
	}
	w.clocks.pass(time.Hour)
	if r := w.round(); r.Forgotten != 1 || len(w.objects()) != 0 {
		t.Errorf("%+v, %d objects are left", r, len(w.objects()))
	}
}
