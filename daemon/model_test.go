package daemon_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
)

// shrinking is a test whose failures are the property's, to be made smaller.
type shrinking struct {
	testing.TB
	rt *rapid.T
}

func (s shrinking) Helper()                      { s.rt.Helper() }
func (s shrinking) Fatal(args ...any)            { s.rt.Fatal(args...) }
func (s shrinking) Fatalf(f string, args ...any) { s.rt.Fatalf(f, args...) }

// machine is a daemon beside what it should hold.
type machine struct {
	*world
	live, open []held
	small, all [][]byte
}

// held is a file, or an upload that may become one.
type held struct {
	owner  protocol.Owner
	uid    protocol.UID
	data   []byte
	expiry time.Time
	// sized says that the upload began with its size. parts are what was sent
	// last of each part, whoever sent it.
	sized    bool
	partSize int64
	parts    [][]byte
}

func anyOwner(rt *rapid.T) protocol.Owner {
	return rapid.SampledFrom([]protocol.Owner{ann, bob}).Draw(rt, "owner")
}

func anyContent(rt *rapid.T, from [][]byte) []byte {
	return rapid.SampledFrom(from).Draw(rt, "content")
}

// pick takes one out, or ends the step where there is none.
func pick(rt *rapid.T, from *[]held) held {
	if len(*from) == 0 {
		rt.Skip("none")
	}
	i := rapid.IntRange(0, len(*from)-1).Draw(rt, "which")
	h := (*from)[i]
	*from = slices.Delete(*from, i, i+1)
	return h
}

func (m *machine) put(rt *rapid.T) {
	h := held{owner: anyOwner(rt), data: anyContent(rt, m.small)}
	h.uid = m.putSmall(h.owner, "f", h.data)
	m.live = append(m.live, h)
}

func (m *machine) putExpiring(rt *rapid.T) {
	h := held{owner: anyOwner(rt), data: anyContent(rt, m.small), expiry: m.clocks.Now().Add(30 * time.Second)}
	h.uid = m.putSmall(h.owner, "f", h.data)
	expiry := &h.expiry
	_, err := m.db.PatchFile(m.t.Context(), h.owner, h.uid, meta.FilePatch{ExpiresAt: &expiry})
	must(rt, err)
	m.live = append(m.live, h)
}

func (m *machine) begin(rt *rapid.T) {
	h := held{owner: anyOwner(rt), data: anyContent(rt, m.all), sized: rapid.IntRange(0, 3).Draw(rt, "sized") < 3}
	u := m.beginAs(h.owner, "f", h.data, h.sized)
	h.uid, h.partSize = u.UID, u.PartSize
	h.parts = make([][]byte, (int64(len(h.data))+u.PartSize-1)/u.PartSize)
	m.open = append(m.open, h)
}

// part sends a part again, or for the first time; sometimes another writer
// sends other bytes in its place.
func (m *machine) part(rt *rapid.T) {
	h := pick(rt, &m.open)
	defer func() { m.open = append(m.open, h) }()
	if len(h.parts) == 0 {
		rt.Skip("no parts")
	}
	i := rapid.IntRange(0, len(h.parts)-1).Draw(rt, "part")
	p := h.part(i)
	if rapid.Bool().Draw(rt, "another writer") {
		p = slices.Clone(p)
		p[len(p)-1]++
	}
	m.send(rt, h, i, p)
}

// part is the client's own part, counted from 0.
func (h held) part(i int) []byte {
	from := int64(i) * h.partSize
	return h.data[from:min(from+h.partSize, int64(len(h.data)))]
}

func (m *machine) send(rt *rapid.T, h held, i int, p []byte) {
	_, err := m.PutPart(m.t.Context(), h.owner, h.uid, protocol.PartNumber(i+1), upload.Body{Reader: bytes.NewReader(p), Length: int64(len(p))})
	must(rt, err)
	h.parts[i] = p
}

// commit sends what is missing, or also what differs, and commits what is held
// then: the bytes of several writers, where the client does not compare.
func (m *machine) commit(rt *rapid.T) {
	h := pick(rt, &m.open)
	compare := rapid.Bool().Draw(rt, "compare")
	for i := range h.parts {
		if own := h.part(i); h.parts[i] == nil || compare && !bytes.Equal(h.parts[i], own) {
			m.send(rt, h, i, own)
		}
	}
	h.data = slices.Concat(h.parts...)
	var c protocol.CommitUpload
	if size := int64(len(h.data)); !h.sized {
		c.Size = &size
	}
	_, _, err := m.Commit(m.t.Context(), h.owner, h.uid, c)
	must(rt, err)
	m.live = append(m.live, h)
}

// tooEarly compares and commits while parts are missing or another's.
func (m *machine) tooEarly(rt *rapid.T) {
	h := pick(rt, &m.open)
	defer func() { m.open = append(m.open, h) }()
	var sums []protocol.XXH3
	want := protocol.KindPartsDiffer
	same := true
	for i, p := range h.parts {
		sums = append(sums, protocol.SumXXH3(h.part(i)))
		if p == nil {
			want = protocol.KindPartsMissing
		}
		same = same && p != nil && bytes.Equal(p, h.part(i))
	}
	if same {
		rt.Skip("all is there")
	}
	size, sum := int64(len(h.data)), protocol.PartsXXH3(sums)
	_, _, err := m.Commit(m.t.Context(), h.owner, h.uid, protocol.CommitUpload{Size: &size, PartsXXH3: &sum})
	wantKind(rt, err, want)
}

func (m *machine) claim(rt *rapid.T) {
	h := pick(rt, &m.open)
	_, err := m.world.claim(h.owner, h.uid, h.data)
	reach := h.sized && len(h.data) > 0 &&
		slices.ContainsFunc(m.live, func(l held) bool { return l.owner == h.owner && slices.Equal(l.data, h.data) })
	switch {
	case err == nil && reach:
		m.live = append(m.live, h)
	case err == nil:
		rt.Fatal("a claim reached what the owner has not")
	default:
		wantKind(rt, err, protocol.KindClaimRefused)
		m.open = append(m.open, h)
	}
}

func (m *machine) abort(rt *rapid.T) {
	h := pick(rt, &m.open)
	must(rt, m.Abort(m.t.Context(), h.owner, h.uid))
}

func (m *machine) delete(rt *rapid.T) {
	h := pick(rt, &m.live)
	m.world.delete(h.owner, h.uid)
}

func (m *machine) pass(*rapid.T) {
	m.clocks.pass(20 * time.Second)
	m.live = slices.DeleteFunc(m.live, func(h held) bool { return !h.expiry.IsZero() && !h.expiry.After(m.clocks.Now()) })
}

// check reads every file that lives.
func (m *machine) check(*rapid.T) {
	for _, h := range m.live {
		m.reads(h.owner, h.uid, h.data)
	}
}

// empty ends all there is and expects that nothing is left.
func (m *machine) empty(rt *rapid.T) {
	for _, h := range m.live {
		m.world.delete(h.owner, h.uid)
	}
	for _, h := range m.open {
		must(rt, m.Abort(m.t.Context(), h.owner, h.uid))
	}
	m.clocks.pass(time.Minute)
	m.settled()
	if n := len(m.objects()); n != 0 {
		rt.Fatalf("%d objects are left", n)
	}
	m.clocks.pass(25 * time.Hour)
	m.round()
	if c := m.world.check().Counts; c.Blobs+c.Contents+c.Files != 0 {
		rt.Fatalf("rows are left: %+v", c)
	}
}

// TestWhatLivesReads: two owners put, claim, delete, let expire and sweep a few
// contents in any order, in uploads with and without a size, whose parts
// others replace. After each step every file that lives reads as its bytes; at
// the end all of it goes away.
func TestWhatLivesReads(t *testing.T) {
	small := [][]byte{noise(1, 700), noise(2, 700), noise(3, 300<<10), {}}
	// The last two have one fingerprint: they differ outside its windows.
	all := append(slices.Clone(small), noise(4, 5<<20), noise(4, 5<<20))
	all[len(all)-1][1<<20]++
	large := append([][]byte{noise(5, 8<<20+300)}, small...) // of two parts
	rapid.Check(t, func(rt *rapid.T) {
		kind := rapid.IntRange(0, 15).Draw(rt, "store and contents")
		m := &machine{small: small, all: all, world: newWorld(shrinking{t, rt}, setup{mem: kind%4 != 3, failures: 1 << 20})}
		if kind > 12 {
			m.all = large
		}
		defer os.RemoveAll(m.dir)
		defer metatest.Discard(t, filepath.Join(m.dir, "meta.db"))
		defer m.end()
		rt.Repeat(metatest.Ranked(m.check, []metatest.Step{
			{Name: "part", Run: m.part},
			{Name: "begin", Run: m.begin},
			{Name: "commit", Run: m.commit},
			{Name: "put", Run: m.put},
			{Name: "claim", Run: m.claim},
			{Name: "sweep", Run: func(*rapid.T) { m.round() }},
			{Name: "delete", Run: m.delete},
			{Name: "commit too early", Run: m.tooEarly},
			{Name: "put that expires", Run: m.putExpiring},
			{Name: "abort", Run: m.abort},
			{Name: "pass", Run: m.pass},
		}))
		m.empty(rt)
	})
}
