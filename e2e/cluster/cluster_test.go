//go:build servers

package cluster

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/e2e/s3server"
)

// plan is what a cluster is made of.
type plan struct {
	nodes    int
	binaries harness.Binaries
	// minio is where all nodes keep their bytes; each has a disk of its own
	// without one.
	minio *s3server.Server
	// durable has Postgres keep what it acknowledged when it crashes.
	durable bool
	// apart has wires between the nodes, and between them and Postgres.
	apart bool
}

// cluster is some nodes on one private Postgres.
type cluster struct {
	t        *testing.T
	postgres *pgtest.Server
	// address is that of the database past all wires.
	address string
	// toPostgres is the wire in front of the database, nil without wires.
	toPostgres *wire
	nodes      []*node
}

// node is one ospd, which may be dead for a while.
type node struct {
	*harness.Daemon
	// config is its configuration's file.
	config string
	// peers is the wire through which its peers reach it, nil without wires.
	peers *wire
}

// start starts a cluster, whose nodes the test's end kills.
func start(t *testing.T, p plan) *cluster {
	t.Helper()
	c := &cluster{t: t}
	var err error
	if c.postgres, err = pgtest.Start(t.Context(), p.durable); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.postgres.Stop(); err != nil {
			t.Error(err)
		}
	})
	if _, err := pgtest.Create(t.Context(), c.postgres.Dir(), "ospd", "template0"); err != nil {
		t.Fatal(err)
	}
	c.address = c.postgres.URL("ospd")
	stores := "stores: {disk: {type: local, path: %q}}\n"
	if p.minio != nil {
		stores = fmt.Sprintf("stores: {shared: {type: s3, endpoint: %q, region: %s, bucket: %s, access_key_id: %s, secret_access_key: %s, path_style: true}}\n",
			p.minio.Endpoint, p.minio.Region, p.minio.Bucket(t), p.minio.AccessKeyID, p.minio.SecretAccessKey)
	}
	for i := range p.nodes {
		c.nodes = append(c.nodes, c.join(p, i, stores))
	}
	return c
}

// join configures and starts the i-th node.
func (c *cluster) join(p plan, i int, stores string) *node {
	c.t.Helper()
	dir := c.t.TempDir()
	n := &node{config: filepath.Join(dir, "ospd.yaml")}
	if strings.Contains(stores, "%q") {
		stores = fmt.Sprintf(stores, filepath.Join(dir, "blobs"))
	}
	text := fmt.Sprintf("db: %q\n", c.address) + stores + usual
	if p.nodes > 1 {
		listen := free(c.t, fmt.Sprintf("127.0.0.%d", 10+i))
		text += fmt.Sprintf("cluster: {peer_listen: %q, advertise: %q, key: the-key-of-all-nodes-of-this-test}\n", listen, listen)
	}
	if err := os.WriteFile(n.config, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	n.Daemon = harness.StartDaemon(c.t, p.binaries, filepath.Join(dir, "data"), "--config", n.config)
	return n
}

// usual is what all nodes have in their configuration: tests claim often, and
// wait for the sweep.
const usual = "claim_failures_per_hour: 1000000\nsweep_interval: 1s\ndrain_timeout: 20s\n"

// free is an address of the host that nobody listens at.
func free(t *testing.T, host string) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

// ospd runs a verb of ospd as the node, which is stopped.
func (n *node) ospd(c *cluster, args ...string) (exit int, output string) {
	c.t.Helper()
	p := harness.Start(c.t, nil, "", bin.OSPD, append(args, "--data", n.Data, "--config", n.config)...)
	exit = p.Wait()
	return exit, p.Stdout() + p.Stderr()
}

// finish stops all nodes and holds what they leave to the fourth promise: fsck
// finds nothing from the folder of any node, and after gc nothing is pending.
func (c *cluster) finish() {
	c.t.Helper()
	for _, n := range c.nodes {
		select {
		case <-n.Done():
			continue
		default:
		}
		if exit := n.Stop(); exit != 0 {
			c.t.Errorf("a node left with %d:\n%s", exit, n.Stderr())
		}
	}
	for i, n := range c.nodes {
		if exit, out := n.ospd(c, "fsck", "--read-data"); exit != 0 {
			c.t.Errorf("fsck at node %d: %d: %s", i, exit, out)
		}
		if exit, out := n.ospd(c, "gc", "--grace", "0s"); exit != 0 {
			c.t.Errorf("gc at node %d: %d: %s", i, exit, out)
		}
	}
	for i, n := range c.nodes {
		if exit, out := n.ospd(c, "fsck"); exit != 0 || !strings.Contains(out, ", 0 pending") {
			c.t.Errorf("fsck at node %d after gc: %d: %s", i, exit, out)
		}
	}
}
