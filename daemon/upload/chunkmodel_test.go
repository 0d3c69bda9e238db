package upload_test

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/local/record"
)

// chunkMachine is a write side that receives chunks, beside a plain map of what
// it should hold: one file at a time, and those before.
type chunkMachine struct {
	*machine
	link   upload.Linked
	chunks map[protocol.PartNumber][]byte
	// inOrder: each came once, when it was its turn.
	inOrder bool
}

func (m *chunkMachine) steps() map[string]func(*rapid.T) {
	steps := map[string]func(*rapid.T){
		"chunk":           m.send,
		"next chunk":      m.sendNext,
		"chunk again":     m.sendAgain,
		"corrupt chunk":   m.sendCorrupt,
		"merge":           m.mergeRight,
		"wrong merge":     m.mergeWrong,
		"abort":           m.giveUp,
		"restart":         func(*rapid.T) { m.restart(m.bootID()) },
		"restart machine": func(*rapid.T) { m.boot++; m.restart(m.bootID()) },
		"":                m.checkHeld,
	}
	if m.rec != nil {
		steps["power cut"] = m.losePower
	}
	return steps
}

// fresh begins anew where nothing is open. What it replaces is not to be too
// often: time passes.
func (m *chunkMachine) fresh() {
	m.clock.add(time.Hour)
	if len(m.chunks) == 0 {
		m.link, m.inOrder = m.linked(), true
	}
}

func (m *chunkMachine) sendOf(t *rapid.T, n protocol.PartNumber) {
	size := rapid.SampledFrom([]int64{1, 1, 2, 2, 300, 300, 5000, 5000, block}).Draw(t, "size")
	p := random(rapid.Int64Range(0, 1<<20).Draw(t, "seed"), size)
	m.inOrder = m.inOrder && int(n) == len(m.chunks)+1 && m.chunks[n] == nil
	m.chunk(m.link, n, p)
	m.chunks[n] = p
}

func (m *chunkMachine) send(t *rapid.T) {
	m.fresh()
	m.sendOf(t, protocol.PartNumber(rapid.IntRange(1, 4).Draw(t, "number")))
}

// sendNext makes stories in which the chunks are those of a file.
func (m *chunkMachine) sendNext(t *rapid.T) {
	m.fresh()
	n := protocol.PartNumber(1)
	for m.chunks[n] != nil {
		n++
	}
	m.sendOf(t, n)
}

func (m *chunkMachine) anyHeld(t *rapid.T) protocol.PartNumber {
	if len(m.chunks) == 0 {
		t.Skip("nothing is held")
	}
	return rapid.SampledFrom(slices.Sorted(maps.Keys(m.chunks))).Draw(t, "held")
}

func (m *chunkMachine) sendAgain(t *rapid.T) {
	n := m.anyHeld(t)
	m.fresh()
	m.chunk(m.link, n, m.chunks[n])
}

func (m *chunkMachine) sendCorrupt(t *rapid.T) {
	n := m.anyHeld(t)
	m.fresh()
	p := m.chunks[n]
	other := random(rapid.Int64Range(0, 1<<20).Draw(t, "seed"), int64(len(p)))
	bad := upload.Body{Reader: bytes.NewReader(other), Length: int64(len(p)), MD5: ptr(md5.Sum(p))}
	switch rapid.IntRange(0, 2).Draw(t, "how") {
	case 0: // an announced MD5 of others
		bad.MD5 = ptr(md5.Sum(append(bytes.Clone(other), 0)))
	case 1:
		bad.Reader = broken(p[:len(p)/2], errGone)
	}
	if _, err := m.PutLinkedChunk(m.t.Context(), m.link, chunked, n, bad); err == nil && !bytes.Equal(other, p) {
		t.Fatal("a chunk that must fail did not")
	}
}

// all is what the chunks are, if they are the first ones.
func (m *chunkMachine) all() (content []byte, ok bool) {
	for i, n := range slices.Sorted(maps.Keys(m.chunks)) {
		if int(n) != i+1 {
			return nil, false
		}
		content = append(content, m.chunks[n]...)
	}
	return content, len(m.chunks) > 0
}

func (m *chunkMachine) mergeRight(t *rapid.T) {
	m.fresh()
	content, ok := m.all()
	f, err := m.merge(m.link, max(len(m.chunks), 1), content)
	if ok != (err == nil) {
		t.Fatalf("merge of %v: %v", slices.Sorted(maps.Keys(m.chunks)), err)
	}
	if ok {
		if m.inOrder != (f.MD5 != nil) && m.inOrder {
			t.Fatal("chunks came in order, and the MD5 is not known")
		}
		m.merged(content)
	}
}

func (m *chunkMachine) merged(content []byte) {
	m.files[m.link.UID] = content
	clear(m.chunks)
}

func (m *chunkMachine) mergeWrong(t *rapid.T) {
	m.fresh()
	content, ok := m.all()
	w := upload.Merge{Num: len(m.chunks), Size: int64(len(content)), MD5: md5.Sum(content)}
	how := rapid.IntRange(0, 2).Draw(t, "what is wrong")
	switch how {
	case 0:
		w.Num += rapid.SampledFrom([]int{-1, 1}).Draw(t, "chunks")
	case 1:
		w.Size += rapid.SampledFrom([]int64{-1, 1}).Draw(t, "bytes")
	case 2:
		w.MD5[0]++
	}
	_, err := m.MergeLinked(m.t.Context(), m.link, w)
	if err == nil && ok && how == 2 && !m.inOrder {
		m.merged(content) // a digest job will find out
		return
	}
	if err == nil {
		t.Fatalf("a wrong merge (%d) was taken", how)
	}
}

func (m *chunkMachine) giveUp(t *rapid.T) {
	if len(m.chunks) == 0 {
		t.Skip("nothing is open")
	}
	if err := m.Abort(m.t.Context(), owner, m.link.UID); err != nil {
		t.Fatal(err)
	}
	clear(m.chunks)
}

// losePower loses what was not synced: a chunk may go by that, and one that
// stays is what was sent.
func (m *chunkMachine) losePower(t *rapid.T) {
	v := rapid.SampledFrom(record.Variants()).Draw(t, "variant")
	must(m.t, m.Close())
	m.rec = m.rec.CrashAt(m.rec.Len(), v, rapid.Uint64().Draw(t, "seed"))
	m.store = store.New(m.store.Name(), localOn(m.t, m.rec), store.Options{})
	m.boot++
	m.Service = m.service(func(c *upload.Config) { c.BootID = m.bootID() })
	if len(m.chunks) == 0 {
		return
	}
	list, err := m.Chunks(m.t.Context(), owner, m.link.UID)
	if err != nil {
		t.Fatal(err)
	}
	for n := range maps.Clone(m.chunks) {
		if !slices.Contains(list, n) {
			delete(m.chunks, n)
			m.inOrder = false
		}
	}
	if len(m.chunks) == 0 { // begin with another link
		must(m.t, m.Abort(m.t.Context(), owner, m.link.UID))
	}
}

func (m *chunkMachine) checkHeld(t *rapid.T) {
	if len(m.chunks) == 0 {
		return
	}
	list, err := m.Chunks(m.t.Context(), owner, m.link.UID)
	if want := slices.Sorted(maps.Keys(m.chunks)); err != nil || !slices.Equal(list, want) {
		t.Fatalf("held are %v (%v), want %v", list, err, want)
	}
	parts, _, err := m.db.Parts(m.t.Context(), owner, m.link.UID)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		if want := m.chunks[p.Number]; p.Length != int64(len(want)) || p.XXH3 != protocol.SumXXH3(want) || *p.MD5 != md5.Sum(want) {
			t.Fatalf("chunk %d is recorded as another", p.Number)
		}
	}
}

// TestChunkModel runs random sequences of what can happen to files in chunks,
// every fourth on an object store.
func TestChunkModel(t *testing.T) {
	for i := range 2 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			var done int
			rapid.Check(t, func(rt *rapid.T) {
				if done++; raced && done > 10 {
					return
				}
				m := &chunkMachine{machine: newMachine(t, done%4 == 0), chunks: map[protocol.PartNumber][]byte{}}
				defer metatest.Discard(t, m.path)
				defer func() { must(t, m.end()) }()
				rt.Repeat(m.steps())
				m.checkBytes(rt)
			})
		})
	}
}
