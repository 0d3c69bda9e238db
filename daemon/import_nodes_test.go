package daemon_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/intake"
	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// TestImportOnNodes: folders of two nodes have one path and are two imports, each
// for its node; files of the one are no changed ones of the other. A bucket is
// imported by any node.
func TestImportOnNodes(t *testing.T) {
	w, b, _, end := importWorld(t)
	defer end()
	dir := t.TempDir()
	w.foreign(b, "x", "", []byte("x"))
	subjects := map[string]bool{}
	var uids []protocol.UID
	for _, node := range []meta.NodeID{"n1", "n2"} {
		w.importing.Node = node
		im := w.intake(nil)
		must(t, os.WriteFile(filepath.Join(dir, "f"), []byte("of "+string(node)), 0o600))
		w.clocks.pass(time.Since(w.clocks.Now()) + time.Hour) // the file is of now
		args, err := json.Marshal(intake.Args{Source: "dir:" + dir})
		must(t, err)
		n, err := im.Request(t.Context(), job.Caller{Owner: "ann", All: true}, args)
		must(t, err)
		subjects[n.Subject] = true
		if n.Node != string(node) {
			t.Errorf("that of %s is for %q", node, n.Node)
		}
		n.Node = "" // the world runs all jobs
		id, made, err := w.db.Enqueue(t.Context(), n)
		must(t, err)
		if !made {
			t.Errorf("that of %s is another node's", node)
		}
		_, entries := w.goesOn(im, id)
		uids = append(uids, w.outcome(entries, filepath.Join(dir, "f"), protocol.ImportImported, ""))
		n, err = im.Request(t.Context(), job.Caller{Owner: "ann", All: true}, json.RawMessage(`{"source": "s3:old"}`))
		must(t, err)
		subjects[n.Subject] = true
		if n.Node != "" {
			t.Errorf("that of a bucket is for %s", n.Node)
		}
	}
	if len(subjects) != 3 {
		t.Errorf("the subjects are %v", subjects)
	}
	w.reads("ann", uids[0], []byte("of n1"))
	w.reads("ann", uids[1], []byte("of n2"))
}

// TestImportOfAStoreElsewhere: a node that does not have the store leaves the import
// to one that has, however often it comes by.
func TestImportOfAStoreElsewhere(t *testing.T) {
	w, b, _, end := importWorld(t)
	defer end()
	w.importing.Node = "n1"
	w.foreign(b, "x", "", []byte("x"))
	has := w.intake(nil)
	w.importing.Stores, w.importing.Node, w.importing.Peers = map[string]*store.Store{}, "n2", true
	hasNot := w.intake(nil)
	n, err := has.Request(t.Context(), job.Caller{Owner: "ann", All: true}, json.RawMessage(`{"source": "s3:old"}`))
	must(t, err)
	id, _, err := w.db.Enqueue(t.Context(), n)
	must(t, err)
	for range 2 * 10 { // more often than it may fail
		w.clocks.pass(time.Minute)
		w.runDue(t.Context(), job.Handler{Kind: protocol.JobImport, Do: job.With(hasNot.Do)})
	}
	j := w.jobOf(id)
	if j.State != protocol.JobReady || j.Attempts != 0 || j.Progress == nil || !strings.Contains(j.Progress.Note, "store old") {
		t.Errorf("%+v", j)
	}
	w.clocks.pass(time.Minute)
	_, entries := w.goesOn(has, id)
	w.outcome(entries, "x", protocol.ImportImported, "")
}
