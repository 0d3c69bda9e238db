//go:build postgres

package upload_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// variant are bytes that somebody sends as a part.
func variant(n protocol.PartNumber, which int) []byte {
	return random(int64(n)*100+int64(which), block)
}

// spread is an upload whose parts come to several nodes, some several times and
// with other bytes.
type spread struct {
	t     *testing.T
	nodes []*bench
	uid   protocol.UID
	parts int
	// ended says that errors of an upload that ended are none.
	ended bool
}

func (s *spread) node() *bench { return s.nodes[rand.IntN(len(s.nodes))] }

// send sends a part to any node; acknowledged is what it was answered.
func (s *spread) send(n protocol.PartNumber, which int) {
	_, err := s.node().PutPart(context.Background(), owner, s.uid, n, body(variant(n, which)))
	if k := protocol.KindOf(err); err != nil && (!s.ended || k != protocol.KindCommitted && k != protocol.KindNotFound) {
		s.t.Errorf("part %d: %v", n, err)
	}
}

// commit commits at any node.
func (s *spread) commit() (protocol.File, protocol.Kind) {
	f, _, err := s.node().Commit(context.Background(), owner, s.uid, protocol.CommitUpload{})
	return f, protocol.KindOf(err)
}

// isWhole checks that the file has, of each part, one of the variants whole, at
// every node the same.
func (s *spread) isWhole(f protocol.File, variants int) {
	s.t.Helper()
	content, _ := s.nodes[0].content(s.uid)
	for n := range s.parts {
		got, found := content[n*block:(n+1)*block], false
		for which := range variants {
			found = found || bytes.Equal(got, variant(protocol.PartNumber(n+1), which))
		}
		if !found {
			s.t.Errorf("part %d has bytes that nobody sent", n+1)
		}
	}
	for i, b := range s.nodes {
		b.holds(s.uid, content)
		if again := b.commit(s.uid, protocol.CommitUpload{}); again.ETag != f.ETag {
			s.t.Errorf("node %d answers %s, the commit was answered %s", i, again.ETag, f.ETag)
		}
		_, err := b.PutPart(s.t.Context(), owner, s.uid, 1, body(variant(1, 0)))
		wants(s.t, err, protocol.KindCommitted)
	}
}

// TestPartsSpreadOverNodes: the parts of one upload come to three nodes, each
// several times with other bytes and at once, and it is committed at all of them
// while parts come still. It becomes one file, of parts that were sent so.
func TestPartsSpreadOverNodes(t *testing.T) {
	all := nodes(t, 3, nil)
	const parts, variants = 4, 3
	for range 8 {
		s := &spread{t: t, nodes: all, parts: parts, uid: all[0].beginBlocks(ptr(int64(parts * block)))}
		var wg sync.WaitGroup
		for n := range parts {
			for which := range variants {
				wg.Go(func() { s.send(protocol.PartNumber(n+1), which) })
			}
		}
		wg.Wait()
		for i, b := range all {
			if got := b.parts(s.uid); len(got) != parts {
				t.Errorf("node %d lists %v", i, got)
			}
		}
		s.ended = true
		files := make([]protocol.File, 3)
		for n := range parts {
			wg.Go(func() { s.send(protocol.PartNumber(n+1), n%variants) })
		}
		for i := range files {
			wg.Go(func() {
				var kind protocol.Kind
				if files[i], kind = s.commit(); kind != "" {
					t.Errorf("commit: %s", kind)
				}
			})
		}
		wg.Wait()
		for _, f := range files {
			if f.ETag != files[0].ETag || f.UID != s.uid {
				t.Errorf("commits are answered %s and %s", f.ETag, files[0].ETag)
			}
		}
		s.isWhole(files[0], variants)
	}
	all[0].mustBeSound()
}

// TestAbortSpreadOverNodes: of a commit at one node and an abort at another one
// takes place, and all nodes agree on which, whatever parts come meanwhile.
func TestAbortSpreadOverNodes(t *testing.T) {
	all := nodes(t, 3, nil)
	const parts = 2
	outcomes := map[string]int{}
	for range 20 {
		s := &spread{t: t, nodes: all, parts: parts, uid: all[1].beginBlocks(ptr(int64(parts * block)))}
		for n := range parts {
			s.send(protocol.PartNumber(n+1), 0)
		}
		s.ended = true
		var wg sync.WaitGroup
		var f protocol.File
		var kind protocol.Kind
		var aborted error
		wg.Go(func() { f, kind = s.commit() })
		wg.Go(func() { aborted = s.node().Abort(context.Background(), owner, s.uid) })
		for n := range parts {
			wg.Go(func() { s.send(protocol.PartNumber(n+1), 1) })
		}
		wg.Wait()
		outcomes[fmt.Sprintf("commit %q, abort %q", kind, protocol.KindOf(aborted))]++
		switch {
		case kind == "" && protocol.KindOf(aborted) == protocol.KindCommitted:
			s.isWhole(f, 2)
		case kind == protocol.KindNotFound && aborted == nil:
			for _, b := range all {
				_, err := b.Upload(t.Context(), owner, s.uid)
				wants(t, err, protocol.KindNotFound)
				_, _, err = b.read(s.uid)
				wants(t, err, protocol.KindNotFound)
			}
		default:
			t.Errorf("commit: %q, abort: %v", kind, aborted)
		}
	}
	t.Log(outcomes)
	all[0].mustBeSound()
}
