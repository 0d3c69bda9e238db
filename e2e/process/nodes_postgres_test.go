//go:build postgres

package process

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// nodeConfig is a configuration file for a node of a cluster on the database.
func nodeConfig(t *testing.T, address string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	const text = "db: %q\nsweep_interval: 1s\ncluster: {peer_listen: %q, key: the-key-of-all-nodes-of-this-test}\n"
	return harness.WriteFile(t, "ospd.yaml", fmt.Appendf(nil, text, address, l.Addr().String()))
}

// startNode starts a node with a data folder of its own.
func startNode(t *testing.T, address string) *harness.Daemon {
	t.Helper()
	return harness.StartDaemon(t, bin, filepath.Join(t.TempDir(), "data"), "--config", nodeConfig(t, address))
}

// worker is the number of the node that minted a uid.
func worker(uid protocol.UID) int { return int(uid>>12) & 1023 }

// nodesOf are the nodes as the daemon lists them.
func nodesOf(t *testing.T, d *harness.Daemon) []protocol.Node {
	t.Helper()
	ans := d.API().Do("GET", "/v1/nodes", nil, 0)
	d.API().Require(ans, http.StatusOK)
	var list protocol.NodeList
	if err := json.Unmarshal(ans.Body, &list); err != nil {
		t.Fatal(err)
	}
	return list.Nodes
}

// idOf is the id of the node with the daemon's data folder.
func idOf(t *testing.T, d *harness.Daemon) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(d.Data, "node"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// TestPostgresNodes: three nodes work on one database, each with a worker number
// of its own that it has again after it was killed. Whoever would be alone is
// refused beside them, and they beside him.
func TestPostgresNodes(t *testing.T) {
	_, address := postgres(t, false)
	first := filepath.Join(t.TempDir(), "first")
	d := harness.StartDaemon(t, bin, first, "--db", address)
	if exit, said := harness.Refused(t, bin, filepath.Join(t.TempDir(), "data"), "--config", nodeConfig(t, address)); exit != 3 || !strings.Contains(said, "has no cluster section") {
		t.Errorf("a node beside one that is alone: %d: %s", exit, said)
	}
	stop(t, d)
	nodes := []*harness.Daemon{harness.StartDaemon(t, bin, first, "--config", nodeConfig(t, address)), startNode(t, address), startNode(t, address)}
	uids := map[protocol.UID]bool{}
	mint := func(i int) {
		t.Helper()
		f := nodes[i].API().MustUpload("a", []byte{byte(i)})
		if worker(f.UID) != i || uids[f.UID] {
			t.Errorf("node %d minted %s, as worker %d", i, f.UID, worker(f.UID))
		}
		uids[f.UID] = true
	}
	for i := range nodes {
		mint(i)
	}
	for _, d := range nodes {
		list := nodesOf(t, d)
		if len(list) != 3 {
			t.Fatalf("a node lists %+v", list)
		}
		for _, n := range list {
			if !n.Living || n.Draining || n.HeldBytes == nil || *n.HeldBytes != 1 || n.Address == nil || n.Version == "" {
				t.Errorf("a node is %+v", n)
			}
		}
		if len(d.API().Files()) != 3 {
			t.Errorf("a node lists the files %v", d.API().Files())
		}
	}
	nodes[1].Kill()
	mint(0)
	nodes[1].Start()
	for i := range nodes {
		mint(i)
	}

	alone := filepath.Join(t.TempDir(), "alone")
	if exit, said := harness.Refused(t, bin, alone, "--db", address); exit != 3 || !strings.Contains(said, "this one would be alone on it") {
		t.Errorf("a daemon without the section: %d: %s", exit, said)
	}
	for _, verb := range []string{"fsck", "gc"} {
		if exit, out := ospd(t, alone, address, verb); exit != 8 {
			t.Errorf("%s beside nodes: %d: %s", verb, exit, out)
		}
	}
	for _, d := range nodes {
		stop(t, d)
	}
}

// TestPostgresCopiedNode: a copy of a node's data folder is refused while the
// node lives, which goes on.
func TestPostgresCopiedNode(t *testing.T) {
	_, address := postgres(t, false)
	d := startNode(t, address)
	startNode(t, address)
	data := filepath.Join(t.TempDir(), "copy")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "node"), []byte(idOf(t, d)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if exit, said := harness.Refused(t, bin, data, "--config", nodeConfig(t, address)); exit != 3 || !strings.Contains(said, "of which this data folder is a copy") || !strings.Contains(said, "a data folder of its own that is empty") {
		t.Errorf("a copy of a node: %d: %s", exit, said)
	}
	d.API().MustUpload("a", []byte("a"))
}

// TestPostgresStoppedNode: a node that was stopped past its lease goes on where
// it was, while nobody has its worker number; once another has it, what it is
// asked to write is refused, and it ends by itself.
func TestPostgresStoppedNode(t *testing.T) {
	_, address := postgres(t, false)
	d, beside := startNode(t, address), startNode(t, address)
	over := `UPDATE nodes SET lease_until = extract(epoch FROM clock_timestamp()) * 1000 WHERE name = '` + idOf(t, d) + `'` // as time would
	t.Cleanup(func() { d.Signal(syscall.SIGCONT) })
	d.Signal(syscall.SIGSTOP)
	runSQL(t, address, over)
	kept := beside.API().MustUpload("beside", []byte("b"))
	d.Signal(syscall.SIGCONT)
	if f := d.API().MustUpload("kept", []byte("kept")); worker(f.UID) != 0 {
		t.Errorf("it goes on as worker %d", worker(f.UID))
	}
	open := d.API().MustBegin("open", 4)
	before := len(beside.API().Files())

	d.Signal(syscall.SIGSTOP)
	runSQL(t, address, over)
	// No other number is free.
	runSQL(t, address, `INSERT INTO nodes (name, worker, address, boot_id, lease_until, started_at, alone) SELECT 'other' || n, n, '', '', 9999999999999, 0, 0 FROM generate_series(2, 1023) n`)
	next := startNode(t, address)
	runSQL(t, address, `DELETE FROM nodes WHERE name LIKE 'other%'`)
	answers := make(chan harness.Answer, 3)
	for _, write := range []func() harness.Answer{
		func() harness.Answer { return d.API().PutFile("late", []byte("late")) },
		func() harness.Answer { return d.API().PutPart(open.UID, 1, []byte("late")) },
		func() harness.Answer { return d.API().Do("DELETE", "/v1/files/"+kept.UID.String(), nil, 0) },
	} {
		go func() { answers <- write() }()
	}
	d.Signal(syscall.SIGCONT)
	for range cap(answers) {
		// A connection that had not been taken yet may be cut as it ends; and of
		// a request whose body had not been read yet, too much time has passed.
		ans := <-answers
		if ans.Err == nil && ans.Status != http.StatusServiceUnavailable && ans.Status != http.StatusRequestTimeout {
			t.Errorf("a write after its number was taken: %d %s", ans.Status, ans.Body)
		}
	}
	if exit := d.Wait(); exit != 3 || !strings.Contains(d.Stderr(), "another ospd has taken over") {
		t.Errorf("it ended with %d:\n%s", exit, d.Stderr())
	}
	if n := len(beside.API().Files()); n != before {
		t.Errorf("there were %d files, and are %d", before, n)
	}
	if f := next.API().MustUpload("next", []byte("next")); worker(f.UID) != 0 || f.UID <= open.UID {
		t.Errorf("the next one minted %s, as worker %d", f.UID, worker(f.UID))
	}
}
