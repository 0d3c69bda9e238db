//go:build servers && linux

package cluster

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
	"github.com/osproxy/osproxy/e2e/harness"
)

// sql runs a statement on the cluster's database.
func (c *cluster) sql(text string, args ...any) {
	c.t.Helper()
	conn, err := pgx.Connect(c.t.Context(), c.address)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(c.t.Context(), text, args...); err != nil {
		c.t.Fatal(err)
	}
}

// id is the node's name in the database.
func (n *node) id(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(readFile(t, filepath.Join(n.Data, "node")))
}

// worker is the number in the uids that the node mints.
func (c *cluster) worker(n *node) string {
	c.t.Helper()
	rows, err := pgtest.Rows(c.t.Context(), c.address, `SELECT worker::text FROM nodes WHERE name = '`+n.id(c.t)+`'`)
	if err != nil || len(rows) != 1 {
		c.t.Fatalf("the node has %q, %v", rows, err)
	}
	return rows[0]
}

// TestStoppedPastItsLease: a node is stopped for longer than its lease and goes
// on. Where nobody took its place meanwhile it is a node as before.
func TestStoppedPastItsLease(t *testing.T) {
	t.Parallel() // most of it is waiting
	c := start(t, onMinIO(t, 3))
	l := c.newLoad(6)
	l.progress(50)
	n := c.nodes[1]
	n.Signal(syscall.SIGSTOP)
	t.Cleanup(func() { n.Signal(syscall.SIGCONT) })
	l.progress(50)
	// By the database's clock, which is the one that counts.
	c.sql(`SELECT pg_sleep(GREATEST(lease_until / 1000.0 - extract(epoch FROM clock_timestamp()), 0) + 0.1) FROM nodes WHERE name = $1`, n.id(t))
	l.progress(50)
	n.Signal(syscall.SIGCONT)
	n.ready(t)
	l.progress(50)
	l.check()
	c.finish()
}

// TestTwoNodesOfOneNumber: while a node is stopped, another is given its worker
// number. When it goes on it changes nothing, and ends; no uid is there twice.
func TestTwoNodesOfOneNumber(t *testing.T) {
	t.Parallel()
	c := start(t, onMinIO(t, 3))
	l := c.newLoad(6)
	l.progress(50)
	n := c.nodes[1]
	n.Signal(syscall.SIGSTOP)
	t.Cleanup(func() { n.Signal(syscall.SIGCONT) })
	c.sql(`UPDATE nodes SET lease_until = extract(epoch FROM clock_timestamp()) * 1000 WHERE name = $1`, n.id(t))
	c.takeAllNumbers()
	worker := c.worker(n)
	after := c.join()
	if got := c.worker(after); got != worker {
		t.Errorf("the new node has the number %s, and %s alone was free", got, worker)
	}
	c.freeNumbers()
	l.progress(50)
	n.Signal(syscall.SIGCONT)
	if exit := n.Wait(); exit != 3 || !strings.Contains(n.Stderr(), "another ospd has taken") {
		t.Errorf("the node whose number was taken left with %d:\n%s", exit, n.Stderr())
	}
	l.progress(50)
	n.Start()
	l.progress(50)
	l.check()
	c.finish()
}

// takeAllNumbers leaves no worker number free that no node has had, as never
// happens, until freeNumbers.
func (c *cluster) takeAllNumbers() {
	c.t.Helper()
	c.sql(`INSERT INTO nodes (name, worker, address, boot_id, fence, lease_until, started_at, alone)
		SELECT lpad(w::text, 32, 'f'), w, '', '', 1, 9000000000000, 1, 0 FROM generate_series(0, 1023) w WHERE w NOT IN (SELECT worker FROM nodes)`)
}

func (c *cluster) freeNumbers() {
	c.t.Helper()
	c.sql(`DELETE FROM nodes WHERE name LIKE 'ffff%'`)
}

// TestTwoNodesOfOneFolder: a copy of a data folder is no second node.
func TestTwoNodesOfOneFolder(t *testing.T) {
	t.Parallel() // most of it is waiting for a lease to end
	p := onMinIO(t, 2)
	c := start(t, p)
	n := c.nodes[0]
	copied := filepath.Join(t.TempDir(), "copied")
	writeFile(t, filepath.Join(copied, "node"), readFile(t, filepath.Join(n.Data, "node")))
	exit, said := harness.Refused(t, bin, copied, "--config", n.config)
	if exit == 0 || !strings.Contains(said, n.id(t)) {
		t.Errorf("a copy of a node's folder: %d: %s", exit, said)
	}
	if exit, said := harness.Refused(t, bin, n.Data, "--config", n.config); exit == 0 {
		t.Errorf("a second daemon on a node's folder: %d: %s", exit, said)
	}
	api := n.API()
	api.MustFile(api.PutFile("a", []byte("a")), http.StatusCreated)
	c.finish()
}
