package upload_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/local/record"
	"github.com/osproxy/osproxy/store/mem"
)

// machine is a write side beside what it should hold: one upload at a time,
// and the files that became of those before.
type machine struct {
	*bench
	rec  *record.FS
	boot int

	uid   protocol.UID // 0: none
	parts map[protocol.PartNumber][]byte
	files map[protocol.UID][]byte
}

// newMachine is one on a store that assembles, or on an object store.
func newMachine(t *testing.T, objects bool) *machine {
	if objects {
		m := &machine{parts: map[protocol.PartNumber][]byte{}, files: map[protocol.UID][]byte{}}
		m.bench = newBench(t, setup{backend: mem.New(), change: func(c *upload.Config) { c.BootID = "boot 0" }})
		return m
	}
	m := &machine{rec: record.New(), parts: map[protocol.PartNumber][]byte{}, files: map[protocol.UID][]byte{}}
	m.bench = newBench(t, setup{backend: localOn(t, m.rec), change: func(c *upload.Config) { c.BootID = "boot 0" }})
	return m
}

func (m *machine) bootID() string { return fmt.Sprint("boot ", m.boot) }

// steps are what can happen. The one without a name is the invariant. What an
// object store answered for no power cut takes back, so that there is none.
func (m *machine) steps() map[string]func(*rapid.T) {
	steps := map[string]func(*rapid.T){
		"part":            m.part,
		"failing part":    m.failingPart,
		"commit":          m.tryCommit,
		"commit whole":    m.commitWhole,
		"abort":           m.abort,
		"list":            m.list,
		"restart":         func(*rapid.T) { m.restart(m.bootID()) },
		"restart machine": func(*rapid.T) { m.boot++; m.restart(m.bootID()) },
		"":                m.check,
	}
	if m.rec != nil {
		steps["power cut"] = m.powerCut
	}
	return steps
}

func (m *machine) begun() {
	if m.uid == 0 {
		m.uid = m.beginBlocks(nil)
		clear(m.parts)
	}
}

func (m *machine) draw(t *rapid.T) (protocol.PartNumber, []byte) {
	n := rapid.IntRange(1, 3).Draw(t, "number")
	size := rapid.SampledFrom([]int64{1, 2, 3, 100, 200, 300, 301, 5000, 256<<10 + 1, block}).Draw(t, "size")
	return protocol.PartNumber(n), random(rapid.Int64Range(0, 1<<20).Draw(t, "seed"), size)
}

func (m *machine) part(t *rapid.T) {
	m.begun()
	n, p := m.draw(t)
	got, err := m.PutPart(m.t.Context(), owner, m.uid, n, body(p))
	if err != nil || got.XXH3 != protocol.SumXXH3(p) {
		t.Fatalf("part %d: %+v, %v", n, got, err)
	}
	m.parts[n] = p
}

func (m *machine) failingPart(t *rapid.T) {
	m.begun()
	n, p := m.draw(t)
	bad := upload.Body{Reader: bytes.NewReader(p), Length: int64(len(p)), XXH3: &protocol.XXH3{}}
	if rapid.Bool().Draw(t, "cut") {
		bad.Reader = broken(p[:len(p)/2], errGone)
	}
	if _, err := m.PutPart(m.t.Context(), owner, m.uid, n, bad); err == nil {
		t.Fatal("a part that must fail did not")
	}
}

// whole is what the parts are a whole of, if they are.
func (m *machine) whole() (content []byte, ok bool) {
	numbers := slices.Sorted(maps.Keys(m.parts))
	for i, n := range numbers {
		if int(n) != i+1 || i+1 < len(numbers) && len(m.parts[n]) != block {
			return nil, false
		}
		content = append(content, m.parts[n]...)
	}
	return content, true
}

func (m *machine) tryCommit(t *rapid.T) {
	m.begun()
	m.commitTo(t, rapid.SampledFrom([]int64{0, 1, 300, block, block + 1, 2*block + 300}).Draw(t, "size"))
}

// commitWhole makes every other part full, so that sequences reach files of
// several parts, and commits what there is.
func (m *machine) commitWhole(t *rapid.T) {
	m.begun()
	for n := protocol.PartNumber(1); n < 3; n++ {
		if later := m.parts[n+1] != nil || n+2 <= 3 && m.parts[n+2] != nil; later && len(m.parts[n]) != block {
			p := random(int64(n), block)
			if _, err := m.PutPart(m.t.Context(), owner, m.uid, n, body(p)); err != nil {
				t.Fatal(err)
			}
			m.parts[n] = p
		}
	}
	content, ok := m.whole()
	if !ok {
		t.Fatal("the model is wrong")
	}
	m.commitTo(t, int64(len(content)))
}

func (m *machine) commitTo(t *rapid.T, size int64) {
	f, repeated, err := m.Commit(m.t.Context(), owner, m.uid, protocol.CommitUpload{Size: &size})
	content, ok := m.whole()
	if ok = ok && int64(len(content)) == size; ok != (err == nil) || repeated {
		t.Fatalf("commit to %d bytes with %s: %+v, %v, %v", size, m.held(), f, repeated, err)
	}
	switch k := protocol.KindOf(err); k {
	case protocol.KindPartsMissing, protocol.KindPartsDiffer:
	case "":
		m.files[m.uid] = content
		m.uid = 0
	default:
		t.Fatal(err)
	}
}

func (m *machine) held() string {
	s := ""
	for _, n := range slices.Sorted(maps.Keys(m.parts)) {
		s += fmt.Sprintf(" %d:%d", n, len(m.parts[n]))
	}
	return s
}

func (m *machine) abort(t *rapid.T) {
	m.begun()
	if err := m.Abort(m.t.Context(), owner, m.uid); err != nil {
		t.Fatal(err)
	}
	m.uid = 0
}

// list compares what a client is shown with the model.
func (m *machine) list(t *rapid.T) {
	m.begun()
	u, err := m.Upload(m.t.Context(), owner, m.uid)
	if err != nil || len(u.Parts) != len(m.parts) {
		t.Fatalf("listed %+v (%v), want%s", u.Parts, err, m.held())
	}
	for _, p := range u.Parts {
		if want := m.parts[p.Number]; p.XXH3 != protocol.SumXXH3(want) || p.Length != int64(len(want)) {
			t.Fatalf("part %d is listed as %+v", p.Number, p)
		}
	}
}

// powerCut loses what was not synced. A part may go by that; one that stays is
// the one that was sent.
func (m *machine) powerCut(t *rapid.T) {
	v := rapid.SampledFrom(record.Variants()).Draw(t, "variant")
	must(m.t, m.Close())
	m.rec = m.rec.CrashAt(m.rec.Len(), v, rapid.Uint64().Draw(t, "seed"))
	m.store = store.New(m.store.Name(), localOn(m.t, m.rec), store.Options{})
	m.boot++
	m.Service = m.service(func(c *upload.Config) { c.BootID = m.bootID() })
	if m.uid == 0 || rapid.Bool().Draw(t, "unseen") {
		m.unseen(t)
		return
	}
	u, err := m.Upload(m.t.Context(), owner, m.uid)
	if err != nil {
		t.Fatal(err)
	}
	m.keep(t, u.Parts)
}

// unseen goes on after a power cut without a look at what it left.
func (m *machine) unseen(t *rapid.T) {
	if m.uid == 0 {
		return
	}
	n, p := m.draw(t)
	if _, err := m.PutPart(m.t.Context(), owner, m.uid, n, body(p)); err != nil {
		t.Fatal(err)
	}
	m.parts[n] = p
	u, err := m.Upload(m.t.Context(), owner, m.uid)
	if err != nil {
		t.Fatal(err)
	}
	m.keep(t, u.Parts)
	if !bytes.Equal(m.parts[n], p) {
		t.Fatalf("part %d was sent after the power cut and is gone", n)
	}
}

func (m *machine) keep(t *rapid.T, listed []protocol.Part) {
	kept := map[protocol.PartNumber][]byte{}
	for _, p := range listed {
		if kept[p.Number] = m.parts[p.Number]; p.XXH3 != protocol.SumXXH3(kept[p.Number]) {
			t.Fatalf("part %d is listed as %+v", p.Number, p)
		}
	}
	m.parts = kept
}

// check is the invariant: what is recorded is the model. Bytes are compared at
// the end.
func (m *machine) check(t *rapid.T) {
	if m.uid == 0 {
		return
	}
	parts, _, err := m.db.Parts(m.t.Context(), owner, m.uid)
	if err != nil || len(parts) != len(m.parts) {
		t.Fatalf("%d parts are recorded (%v), want%s", len(parts), err, m.held())
	}
	for _, p := range parts {
		if want := m.parts[p.Number]; p.Length != int64(len(want)) || p.XXH3 != protocol.SumXXH3(want) {
			t.Fatalf("part %d is recorded as another", p.Number)
		}
	}
}

// checkBytes compares all bytes of parts and files with what was sent.
func (m *machine) checkBytes(t *rapid.T) {
	if m.uid != 0 {
		for n, p := range m.recorded(m.uid) {
			if got, err := m.bytes(p.Key, p.BlobOffset, p.Length); err != nil || !bytes.Equal(got, m.parts[n]) {
				t.Fatalf("part %d has other bytes (%v)", n, err)
			}
		}
	}
	for uid, content := range m.files {
		if got, _, err := m.read(uid); err != nil || !bytes.Equal(got, content) {
			t.Fatalf("file %s has other bytes (%v)", uid, err)
		}
	}
	for _, f := range m.findings(m.bootID()) {
		t.Fatal(f)
	}
}

// TestModel runs random sequences of what can happen to an upload, a hundred in
// each of two runs, every fourth on an object store.
func TestModel(t *testing.T) {
	for i := range 2 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			var done int
			rapid.Check(t, func(rt *rapid.T) {
				if done++; raced && done > 10 {
					return
				}
				m := newMachine(t, done%4 == 0)
				defer metatest.Discard(t, m.path)
				defer func() { must(t, m.end()) }()
				rt.Repeat(m.steps())
				m.checkBytes(rt)
			})
		})
	}
}
