//go:build servers && linux

package cluster

import (
	"cmp"
	"context"
	"encoding/json"
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
	// disk is where the first node has its own, a folder of its own elsewhere.
	disk string
	// host is the address of all nodes; each has one of its own without it.
	host string
	// durable has Postgres keep what it acknowledged when it crashes.
	durable bool
	// apart has wires between the nodes, and between them and Postgres.
	apart bool
	// certified has the nodes know each other by certificates, under a name that is
	// not of loopback alone, in place of a key.
	certified bool
	// more is what all nodes have in their configuration besides.
	more string
}

// onDisks is a plan of nodes with a disk each.
func onDisks(nodes int) plan { return plan{nodes: nodes, binaries: bin} }

// cluster is some nodes on one private Postgres.
type cluster struct {
	t        *testing.T
	plan     plan
	postgres *pgtest.Server
	// address is that of the database past all wires.
	address string
	// toPostgres is the wire in front of the database, nil without wires.
	toPostgres *wire
	nodes      []*node
	// database and stores are what nodes have in their configuration.
	database, stores string
	// authority is the folder of who signs the certificates of nodes.
	authority string
}

// node is one ospd, which may be dead for a while.
type node struct {
	*harness.Daemon
	// config is its configuration's file.
	config string
	// listen is where its clients find it, without a tap, also when it comes back.
	listen string
	// peers is the wire through which its peers reach it, nil without wires.
	peers *wire
}

// start starts a cluster, whose nodes the test's end kills.
func start(t *testing.T, p plan) *cluster {
	t.Helper()
	c := &cluster{t: t, plan: p, authority: filepath.Join(t.TempDir(), "authority")}
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
	c.database = c.address
	if p.apart {
		c.toPostgres = newWire(t, to("unix", filepath.Join(c.postgres.Dir(), ".s.PGSQL.5432")))
		c.database = "postgres://ospd@" + c.toPostgres.address() + "/ospd?sslmode=disable"
	}
	c.stores = "stores: {disk: {type: local, path: %q}}\n"
	if p.minio != nil {
		c.stores = fmt.Sprintf("stores: {shared: {type: s3, endpoint: %q, region: %s, bucket: %s, access_key_id: %s, secret_access_key: %s, path_style: true}}\n",
			p.minio.Endpoint, p.minio.Region, p.minio.Bucket(t), p.minio.AccessKeyID, p.minio.SecretAccessKey)
	}
	for range p.nodes {
		c.join()
	}
	return c
}

// join configures and starts one more node.
func (c *cluster) join() *node {
	c.t.Helper()
	i, p, dir := len(c.nodes), c.plan, c.t.TempDir()
	host := cmp.Or(p.host, fmt.Sprintf("127.0.0.%d", 10+i)) // a machine of its own, as far as loopback has such
	n := &node{config: filepath.Join(dir, "ospd.yaml"), listen: free(c.t, host)}
	stores := c.stores
	if p.minio == nil {
		folder := filepath.Join(dir, "blobs")
		if i == 0 && p.disk != "" {
			folder = filepath.Join(p.disk, "blobs")
		}
		stores = fmt.Sprintf(stores, folder)
	}
	text := fmt.Sprintf("db: %q\n", c.database) + stores + usual + p.more
	if p.nodes > 1 {
		text += c.section(n, host, filepath.Join(dir, "data"))
	}
	writeFile(c.t, n.config, text)
	n.Daemon = harness.StartDaemon(c.t, p.binaries, filepath.Join(dir, "data"), "--config", n.config, "--listen", n.listen)
	c.nodes = append(c.nodes, n)
	return n
}

// section is what makes a daemon a node of the cluster.
func (c *cluster) section(n *node, host, data string) string {
	c.t.Helper()
	listen := free(c.t, host)
	advertise := listen
	if c.plan.apart {
		n.peers = newWire(c.t, to("tcp", listen))
		advertise = n.peers.address()
	}
	if !c.plan.certified {
		return fmt.Sprintf("cluster: {peer_listen: %q, advertise: %q, key: %s}\n", listen, advertise, strings.Repeat("0123456789abcdef", 4))
	}
	if p := harness.Start(c.t, nil, "", bin.OSPD, "peer-cert", "--ca", c.authority, "--data", data); p.Wait() != 0 {
		c.t.Fatalf("ospd peer-cert: %s", p.Stderr())
	}
	_, port, _ := strings.Cut(advertise, ":")
	at := func(file string) string { return filepath.Join(data, "peer", file) }
	return fmt.Sprintf("cluster: {peer_listen: %q, advertise: %q, tls: {cert: %q, key: %q, ca: %q}}\n",
		listen, "Localhost:"+port, at("peer.crt"), at("peer.key"), at("ca.crt"))
}

// usual is what all nodes have in their configuration: tests claim often, and
// wait for the sweep.
const usual = "claim_failures_per_hour: 1000000\nsweep_interval: 1s\ndrain_timeout: 20s\n" +
	"v0_access: {owner: local, from: [\"127.0.0.0/8\"]}\n"

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

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// writeFile writes a file, and the folder that it is in.
func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func mustJSON(t *testing.T, text []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}
