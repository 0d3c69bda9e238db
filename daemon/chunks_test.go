package daemon_test

import (
	"bytes"
	"crypto/md5"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/digest"
	"github.com/osproxy/osproxy/daemon/fsck"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/pace"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
)

// inChunks puts data in chunks of any length, the last one first, so that its MD5
// is known to nobody, and says that it has sum.
func (w *world) inChunks(owner protocol.Owner, data []byte, sum [md5.Size]byte, lengths ...int) protocol.UID {
	w.t.Helper()
	uid, err := w.minter.Next(w.t.Context())
	must(w.t, err)
	l := upload.Linked{Owner: owner, UID: uid, MaxSize: -1}
	var chunks [][]byte
	rest := data
	for _, n := range lengths {
		chunks, rest = append(chunks, rest[:n]), rest[n:]
	}
	chunks = append(chunks, rest)
	for i, p := range slices.Backward(chunks) {
		body := upload.Body{Reader: bytes.NewReader(p), Length: int64(len(p)), MD5: new([md5.Size]byte)}
		*body.MD5 = md5.Sum(p)
		_, err := w.PutLinkedChunk(w.t.Context(), l, protocol.BeginUpload{Name: "in chunks"}, protocol.PartNumber(i+1), body)
		must(w.t, err)
	}
	f, err := w.MergeLinked(w.t.Context(), l, upload.Merge{Num: len(chunks), Size: int64(len(data)), MD5: sum})
	must(w.t, err)
	if f.MD5 != nil {
		w.t.Errorf("the MD5 is known at the merge: %s", *f.MD5)
	}
	return uid
}

// refuses expects that nothing is read by a file: neither bytes nor blocks.
func (w *world) refuses(owner protocol.Owner, uid protocol.UID) {
	w.t.Helper()
	wantKind(w.t, w.read(owner, uid, io.Discard), protocol.KindContentCorrupt)
	_, err := w.files.Blocks(w.t.Context(), owner, uid)
	wantKind(w.t, err, protocol.KindContentCorrupt)
	f, err := w.files.File(w.t.Context(), owner, uid)
	must(w.t, err)
	if f.MD5 == nil || f.Digest == nil {
		w.t.Errorf("what its bytes are is not known: %+v", f)
	}
}

// A merge cannot always tell that chunks are not those of the file. The digest
// job can: from then on nothing is read by the file, whose bytes are kept, and
// everybody else's files on the same bytes are as they were.
func TestChunksOfAnotherMD5(t *testing.T) {
	for name, lengths := range map[string][]int{"any": {3, bs + 1}, "whole blocks": {bs, bs}} {
		for _, mem := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t, setup{mem: mem})
				data := noise(1, 2*bs+7)
				wrong := w.inChunks("ann", data, md5.Sum(data[1:]), lengths...)
				right := w.inChunks("ann", data, md5.Sum(data), lengths...)
				bob := w.put("bob", "b", data)
				for _, uid := range []protocol.UID{wrong, right} {
					w.reads("ann", uid, data)
				}
				w.sound()
				w.digests()
				w.composes()
				w.refuses("ann", wrong)
				w.reads("ann", right, data)
				w.knows("ann", right, data, true)
				w.reads("bob", bob, data)
				w.onlyFinding(wrong)
				w.corruptEvents(wrong)
				w.put("ann", "again", data)
				w.digests()
				w.collect()
				w.refuses("ann", wrong)
				w.reads("bob", bob, data)
				w.corruptEvents(wrong)
				w.delete("ann", wrong)
				w.collect()
				w.reads("ann", right, data)
				w.end()
			})
		}
	}
}

// Nobody else has them: the bytes of a file that is not read are kept all the same,
// whatever runs over the store, until it is deleted.
func TestChunksOfAnotherMD5Alone(t *testing.T) {
	for name, lengths := range map[string][]int{"any": {3, bs + 1}, "whole blocks": {bs, bs}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setup{})
			data := noise(1, 2*bs+7)
			wrong := w.inChunks("ann", data, md5.Sum(data[1:]), lengths...)
			w.digests()
			w.refuses("ann", wrong)
			w.corruptEvents(wrong)
			for range 2 {
				w.composes()
				w.clocks.pass(25 * time.Hour) // before which what is unfinished may be somebody's
				w.collect()
				w.digests()
				w.refuses("ann", wrong)
				w.onlyFinding(wrong)
				w.holds("ann", wrong, data)
			}
			w.corruptEvents(wrong)
			w.delete("ann", wrong)
			w.clocks.pass(25 * time.Hour)
			w.collect()
			if left := w.objects(); len(left) > 0 {
				t.Errorf("left are %v", left)
			}
			w.end()
		})
	}
}

// holds expects that the store has the bytes of a file, whether or not it may be
// read.
func (w *world) holds(owner protocol.Owner, uid protocol.UID, data []byte) {
	w.t.Helper()
	_, c, err := w.db.Content(w.t.Context(), owner, uid)
	must(w.t, err)
	at, err := w.files.Sample(w.t.Context(), c, [][2]int64{{0, int64(len(data))}})
	must(w.t, err)
	got := make([]byte, len(data))
	_, err = at.ReadAt(got, 0)
	must(w.t, err)
	if !bytes.Equal(got, data) {
		w.t.Errorf("%s are other bytes", uid)
	}
}

// onlyFinding expects that fsck finds the file and nothing else.
func (w *world) onlyFinding(uid protocol.UID) {
	w.t.Helper()
	list := w.check().Findings
	if len(list) != 1 || list[0].Kind != fsck.KindMD5 || !slices.Equal(list[0].UIDs, []protocol.UID{uid}) {
		w.t.Errorf("fsck finds %+v", list)
	}
}

// corruptEvents expects one event of damage, which says why it is none.
func (w *world) corruptEvents(uid protocol.UID) {
	w.t.Helper()
	_, _, err := w.db.NumberEvents(w.t.Context())
	must(w.t, err)
	events, err := w.db.Events(w.t.Context(), 0, 1000)
	must(w.t, err)
	n := 0
	for _, e := range events {
		if e.Kind != protocol.EventContentCorrupt {
			continue
		}
		if n++; e.UID != uid || e.Reason == nil || *e.Reason != protocol.ReasonMD5Differs {
			w.t.Errorf("event %+v", e)
		}
	}
	if n != 1 {
		w.t.Errorf("there are %d events of damage", n)
	}
}

// What is said is found out also where contents are read for nothing else.
func TestSaidMD5IsFoundOutInEveryStore(t *testing.T) {
	w := newWorld(t, setup{})
	data := noise(1, 2*bs)
	wrong := w.inChunks("ann", data, md5.Sum(nil), bs)
	other := w.put("ann", "nothing is said of it", noise(2, bs+1))
	w.digestsBy(t.Context(), digest.New(digest.Config{Meta: w.db, Read: w.files, Pace: pace.New(pace.Config{}), Logger: slog.New(slog.DiscardHandler)}))
	w.refuses("ann", wrong)
	f, err := w.files.File(t.Context(), "ann", other)
	must(t, err)
	if f.MD5 != nil {
		t.Error("the other was read")
	}
	w.delete("ann", wrong)
	w.end()
}

// The jobs that move bytes take those of chunks along, of files whose digest is
// not known yet, and of uploads that are not merged.
func TestChunksMigrate(t *testing.T) {
	m := newMoving(t)
	data := noise(3, 2*bs+9)
	pending := m.inChunks(ann, data, md5.Sum(data), 5, bs)
	whole := m.inChunks(ann, noise(4, 2*bs), md5.Sum(noise(4, 2*bs)), bs)
	uid, err := m.minter.Next(t.Context())
	must(t, err)
	l := upload.Linked{Owner: ann, UID: uid, MaxSize: -1}
	body := func(p []byte) upload.Body {
		sum := md5.Sum(p)
		return upload.Body{Reader: bytes.NewReader(p), Length: int64(len(p)), MD5: &sum}
	}
	_, err = m.PutLinkedChunk(t.Context(), l, protocol.BeginUpload{Name: "open"}, 1, body(data[:7]))
	must(t, err)
	id := m.ask("disk", "mem")
	m.goOn(id)
	m.world.reads(ann, pending, data)
	m.world.reads(ann, whole, noise(4, 2*bs))
	_, err = m.PutLinkedChunk(t.Context(), l, protocol.BeginUpload{Name: "open"}, 2, body(data[7:]))
	must(t, err)
	_, err = m.MergeLinked(t.Context(), l, upload.Merge{Num: 2, Size: int64(len(data)), MD5: md5.Sum(data)})
	must(t, err)
	m.world.reads(ann, uid, data)
	m.digests() // a migration waits for them
	m.ended(m.goOn(id), "")
	m.composes()
	for _, uid := range []protocol.UID{pending, uid} {
		m.world.reads(ann, uid, data)
		m.knows(ann, uid, data, true)
	}
	_, c, err := m.db.Content(t.Context(), ann, uid)
	must(t, err)
	if c.State != meta.ContentLive || c.Refused {
		t.Errorf("%+v", c)
	}
	m.end()
}
