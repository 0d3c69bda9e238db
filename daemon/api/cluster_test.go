package api

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// The nodes of a pair.
const (
	ownerNode  meta.NodeID = "00000000000000000000000000000001"
	senderNode meta.NodeID = "00000000000000000000000000000002"
)

// pair are two nodes on one database, each with a disk of its own. The owner is
// the home of the store.
type pair struct {
	owner, sender *ospd
	// ways are how each reaches the other.
	owns, sends *way
}

// way is how one node sees the other.
type way struct {
	*peer.Client
	*peer.Verifier
	mu    sync.Mutex
	other peer.Peer
	// chosen is where something new is put, "" for here.
	chosen meta.NodeID
	// eyes are of the connections that come in from the other.
	eyes []*eye
}

// eye is a vigil of the tests.
type eye struct {
	way *way
	cut func()
	// waits is true while the other node is waited for; guarded by way.mu.
	waits bool
}

func (e *eye) Begin() { e.set(true) }
func (e *eye) Rest()  { e.set(false) }

func (e *eye) set(waits bool) {
	e.way.mu.Lock()
	defer e.way.mu.Unlock()
	e.waits = waits
}

func (e *eye) End() {
	e.way.mu.Lock()
	defer e.way.mu.Unlock()
	e.way.eyes = slices.DeleteFunc(e.way.eyes, func(other *eye) bool { return other == e })
}

// Watch keeps an eye on a connection.
func (w *way) Watch(_ peer.Verified, cut func()) Vigil {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := &eye{way: w, cut: cut}
	w.eyes = append(w.eyes, e)
	return e
}

// cutStill cuts every connection on which the other node is waited for, as where it
// is down, and says how many that are.
func (w *way) cutStill() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.eyes {
		if e.waits {
			e.cut()
			n++
		}
	}
	return n
}

// Do sends to the one other node there is.
func (w *way) Do(ctx context.Context, _ *holder.Elsewhere, r peer.Request) (*peer.Answer, error) {
	w.mu.Lock()
	other := w.other
	w.mu.Unlock()
	return w.Client.Do(ctx, other, r)
}

// Others is the one other node.
func (w *way) Others() []*holder.Elsewhere {
	w.mu.Lock()
	defer w.mu.Unlock()
	return []*holder.Elsewhere{{Node: w.other.Node}}
}

// Report is empty.
func (w *way) Report() any { return struct{}{} }

// choose gives what the test chose.
func (w *way) choose(int64) meta.NodeID {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.chosen
}

func (w *way) set(other peer.Peer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.other = other
}

func newWay(t testing.TB, self meta.NodeID) *way {
	t.Helper()
	key, err := peer.NewKey(strings.Repeat("secret", 6))
	if err != nil {
		t.Fatal(err)
	}
	client, err := peer.NewClient(peer.Signer{Self: self, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &way{Client: client, Verifier: peer.NewVerifier(peer.VerifierConfig{Self: self, Key: key})}
}

// startPair starts two nodes that know each other; change is done to the
// configuration of both.
func startPair(t testing.TB, quota meta.Quota, change func(*Config)) *pair {
	t.Helper()
	root := t.TempDir()
	db := metatest.OpenDB(t, meta.Config{Path: filepath.Join(root, "meta.db"), Logger: slog.New(slog.DiscardHandler), DefaultQuota: quota})
	closeLater(t, db)
	return startPairOn(t, db, root, func(b store.Backend) store.Backend { return b }, func(*upload.Config) {}, change)
}

func startPairOn(t testing.TB, db *meta.DB, root string, over func(store.Backend) store.Backend, writes func(*upload.Config), change func(*Config)) *pair {
	t.Helper()
	p := &pair{owns: newWay(t, ownerNode), sends: newWay(t, senderNode)}
	node := func(w *way, name, disk string, self meta.NodeID) *ospd {
		return startOspdOn(t, db, filepath.Join(root, name), disk, over, func(c *upload.Config) {
			c.Node, c.BootID, c.Choose = self, "boot of "+name, w.choose
			writes(c)
		}, func(c *Config) {
			c.Peers = w
			change(c)
		})
	}
	p.owner = node(p.owns, "owner", "disk", ownerNode)
	p.sender = node(p.sends, "sender", holder.Instance("disk", senderNode), senderNode)
	p.owns.set(peer.Peer{Node: senderNode, Address: p.sender.servePeers(t)})
	p.sends.set(peer.Peer{Node: ownerNode, Address: p.owner.servePeers(t)})
	return p
}

// servePeers opens the side door and says where.
func (f *fixture) servePeers(t testing.TB) string {
	t.Helper()
	return f.servePeersOver(t, nil)
}

func (f *fixture) servePeersOver(t testing.TB, config *tls.Config) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- f.ServePeers(l, config) }()
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve peers: %v", err)
		}
	})
	return l.Addr().String()
}

// inCluster reports whether the test is one of TestInACluster.
func inCluster(t testing.TB) bool { return strings.HasPrefix(t.Name(), "TestInACluster/") }

// TestInACluster runs tests once more, of which each request comes to another node
// than the one before: clients see one service.
func TestInACluster(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"put and get": TestPutAndGet, "ranges of a file": TestRangesOfAFile, "life of a file": TestLifeOfAFile, "life of an upload": TestLifeOfAnUpload,
		"idempotency": TestIdempotency, "many at once": TestManyAtOnce, "quotas": TestQuotas, "quota race": TestQuotaRace, "claim": TestClaim,
		"failed proofs": TestFailedProofsAreLimited, "malformed claims": TestMalformedClaims, "conditions of changes": TestConditionsOfChanges,
		"fields that are there": TestFieldsThatAreThere, "values of a begin": TestValuesOfABegin,

		"link to get": TestLinkToGet, "links do one thing": TestLinksDoOneThing, "link to put": TestLinkToPut, "link to put in parts": TestLinkToPutInParts,
		"links are signed once": TestLinksAreSignedOnce, "links are revoked": TestLinksAreRevoked, "linked put is repeated": TestLinkedPutIsRepeated,
		"link tells nothing": TestLinkTellsNothing, "link refuses before the body": TestLinkRefusesBeforeTheBody,

		"v0 put and get": TestV0PutAndGet, "v0 download is that of v1": TestV0DownloadIsThatOfV1, "v0 clients take links apart": TestV0ClientsTakeLinksApart,
		"v0 links do one thing": TestV0LinksDoOneThing, "v0 forms": TestV0Forms, "v0 chunks": TestV0Chunks, "v0 chunk parameters": TestV0ChunkParameters,
		"v0 chunks seen by v1": TestV0ChunksSeenByV1, "v0 refused fixes nothing": TestV0RefusedFixesNothing, "v0 chunked forms": TestV0ChunkedForms,
		"v0 body ends early": TestV0BodyEndsEarly, "v0 repeated put": TestV0RepeatedPut, "v0 puts at once": TestV0PutsAtOnce, "v0 md5": TestV0MD5,
		"v0 resume": TestV0Resume, "v0 links are revoked": TestV0LinksAreRevoked, "v0 smuggling": TestV0Smuggling, "v0 forms are no requests": TestV0FormsAreNoRequests,
	} {
		t.Run(name, test)
	}
}

// startHanding starts two nodes, of which the first hands requests for the routes
// given to the second, which serves them so.
func startHanding(t testing.TB, cfg Config, atOwner map[protocol.RouteName]endpoint) (sender, owner *fixture) {
	t.Helper()
	sends, owns := newWay(t, senderNode), newWay(t, ownerNode)
	away := map[protocol.RouteName]endpoint{}
	for name := range atOwner {
		away[name] = endpoint{serve: func(*call) error { return &holder.Elsewhere{Node: ownerNode} }}
	}
	cfg.Peers = owns
	owner = start(t, cfg, atOwner)
	cfg.Peers = sends
	sender = start(t, cfg, away)
	sends.set(peer.Peer{Node: ownerNode, Address: owner.servePeers(t)})
	owns.set(peer.Peer{Node: senderNode, Address: sender.servePeers(t)})
	return sender, owner
}
