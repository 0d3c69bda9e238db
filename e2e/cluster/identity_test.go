//go:build servers && linux

package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
	"github.com/osproxy/osproxy/e2e/harness"
)

// cutOff is the first argument of this binary where it is to run the rest of
// them on a network of its own, on which there is nobody else.
const cutOff = "cut-off"

// runCutOff does that, and returns only where it cannot.
func runCutOff(args []string) error {
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("make a network: %w", err)
	}
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	return unix.Exec(args[0], args, os.Environ())
}

// TestNodeWithoutNetwork: a node comes up where nothing but loopback can be
// reached. Its name is made in its data folder and its address is the one that is
// configured; both stay what they were when it starts again.
func TestNodeWithoutNetwork(t *testing.T) {
	c := start(t, onDisks(2))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	n := c.nodes[0]
	id := n.id(t)
	if exit := n.Stop(); exit != 0 {
		t.Errorf("the node left with %d", exit)
	}
	ready := filepath.Join(t.TempDir(), "ready")
	p := harness.Start(t, nil, "", self, cutOff, bin.OSPD, "serve", "--data", n.Data, "--config", n.config, "--listen", "127.0.0.1:8888", "--ready-file", ready)
	harness.Eventually(t, "the node is ready\n"+p.Stderr(), func() bool {
		_, err := os.Stat(ready)
		return err == nil
	})
	rows, err := pgtest.Rows(t.Context(), c.address, `SELECT name || ' ' || address FROM nodes WHERE lease_until > 0 ORDER BY worker`)
	if err != nil || len(rows) != 2 || !strings.HasPrefix(rows[0], id+" 127.0.0.10:") {
		t.Errorf("the nodes are %q, %v; the first was %s", rows, err, id)
	}
	p.Signal(os.Interrupt)
	if exit := p.Wait(); exit != 0 {
		t.Errorf("it left with %d:\n%s", exit, p.Stderr())
	}
	if now := n.id(t); now != id || len(now) != 32 {
		t.Errorf("the node was called %s, and is %s", id, now)
	}
	n.Start()
	c.finish()
}

// TestNodesOfOneAddress: nodes that share an address, each with ports of its
// own, are as many nodes, with numbers of their own: no uid is there twice.
func TestNodesOfOneAddress(t *testing.T) {
	p := onDisks(3)
	p.host = "127.0.0.1"
	c := start(t, p)
	ids, workers := map[string]bool{}, map[string]bool{}
	for _, n := range c.nodes {
		ids[n.id(t)], workers[c.worker(n)] = true, true
	}
	if len(ids) != 3 || len(workers) != 3 {
		t.Errorf("three nodes have the names %v and the numbers %v", ids, workers)
	}
	l := c.newLoad(6)
	l.progress(200)
	l.check()
	c.finish()
}
