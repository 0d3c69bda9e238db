package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	self meta.NodeID = "00000000000000000000000000000000"
	one  meta.NodeID = "00000000000000000000000000000001"
	two  meta.NodeID = "00000000000000000000000000000002"
)

// limit is how long a test waits for what has to come.
const limit = 20 * time.Second

// quick are the times of the tests: a node that is down is so within 250 ms.
func quick() Times {
	return Times{Look: 50 * time.Millisecond, Again: 10 * time.Millisecond, Ping: 50 * time.Millisecond, Answer: 150 * time.Millisecond, Stall: 200 * time.Millisecond, Retry: time.Second}
}

// rows is a database of nodes.
type rows struct {
	mu   sync.Mutex
	all  map[meta.NodeID]meta.Node
	err  error
	read int
}

func (r *rows) Nodes(context.Context) ([]meta.Node, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read++
	var list []meta.Node
	for _, n := range r.all {
		list = append(list, n)
	}
	return list, r.err
}

func (r *rows) set(n meta.Node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[n.ID] = n
}

func (r *rows) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

func (r *rows) reads() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.read
}

// world is a node, and the rows that it reads.
type world struct {
	*Cluster
	t    *testing.T
	rows *rows
	log  *lockedBuffer
	mu   sync.Mutex
	own  Report
}

func key(t testing.TB) peer.Key {
	t.Helper()
	k, err := peer.NewKey(strings.Repeat("k", 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func start(t *testing.T) *world { return startWith(t, quick()) }

func startWith(t *testing.T, times Times) *world {
	client, err := peer.NewClient(peer.Signer{Self: self, Key: key(t)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, rows: &rows{all: map[meta.NodeID]meta.Node{self: {ID: self, Address: "127.0.0.1:1", Living: true}}}, log: &lockedBuffer{}, own: Report{Free: 100}}
	w.Cluster = New(Config{Self: self, Nodes: w.rows, Sender: client, Log: slog.New(slog.NewTextHandler(w.log, nil)), Report: w.report, Times: times})
	ctx, cancel := context.WithCancel(context.Background())
	var runs sync.WaitGroup
	runs.Go(func() { w.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		runs.Wait()
		client.Close()
	})
	w.until("the list was read", func() bool { return w.rows.reads() > 0 })
	return w
}

func (w *world) report() Report {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.own
}

func (w *world) setReport(r Report) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.own = r
}

// node is another node: a server that pings are answered by.
type node struct {
	*httptest.Server
	id       meta.NodeID
	verifier *peer.Verifier
	serve    http.HandlerFunc

	mu     sync.Mutex
	report Report
}

// join starts a node and gives it a row.
func (w *world) join(id meta.NodeID, serve http.HandlerFunc) *node {
	w.t.Helper()
	return w.joinWith(id, key(w.t), serve)
}

func (w *world) joinWith(id meta.NodeID, k peer.Key, serve http.HandlerFunc) *node {
	n := &node{id: id, verifier: peer.NewVerifier(peer.VerifierConfig{Self: id, Key: k}), serve: serve}
	n.Server = httptest.NewServer(n)
	w.t.Cleanup(n.Close)
	w.rows.set(meta.Node{ID: id, Address: n.Listener.Addr().String(), Living: true})
	return n
}

func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := peer.Message{Method: r.Method, Length: max(r.ContentLength, peer.Unsized)}
	m.Path, m.Query, _ = strings.Cut(r.RequestURI, "?")
	for name, values := range r.Header {
		for _, v := range values {
			m.Fields = append(m.Fields, peer.Field{Name: name, Value: v})
		}
	}
	got, err := n.verifier.Verify(r.Context(), m, nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	w.Header().Set(peer.HeaderProof, n.verifier.Proof(got))
	if r.URL.Path != peer.PingPath {
		n.serve(w, r)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	_ = json.NewEncoder(w).Encode(n.report) // who asked may be gone
}

func (n *node) set(r Report) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.report = r
}

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

func (w *world) ask(id meta.NodeID) (string, error) {
	return w.send(id, peer.Request{Method: "GET", Path: "/"})
}

// send reads the whole answer.
func (w *world) send(id meta.NodeID, r peer.Request) (string, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), limit)
	defer cancel()
	answer, err := w.Do(ctx, id, r)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(answer.Body)
	return string(text), errors.Join(err, answer.Body.Close())
}

// underWay asks until a request has come, once more where the node was taken for
// down before it did, as on a slow machine it may be. It gives how that one ends.
func (w *world) underWay(came <-chan struct{}, ask func() error) <-chan error {
	w.t.Helper()
	for end := time.After(limit); ; {
		waits := make(chan error, 1)
		go func() { waits <- ask() }()
		select {
		case <-came:
			return waits
		case err := <-waits:
			ownerDown(w.t, err)
		case <-end:
			w.t.Fatalf("no request came within %s\n%s", limit, w.log)
		}
	}
}

// until waits for what has to become true.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(limit); !ok(); {
		if time.Now().After(end) {
			w.t.Fatalf("%s did not come true in %s\n%s", what, limit, w.log)
		}
		time.Sleep(time.Millisecond)
	}
}

func (w *world) state(id meta.NodeID) (State, bool) {
	for _, s := range w.States() {
		if s.Node == id {
			return s, true
		}
	}
	return State{}, false
}

func (w *world) isDown(id meta.NodeID) bool { s, ok := w.state(id); return ok && s.Down && w.Down(id) }
func (w *world) isUp(id meta.NodeID) bool   { s, ok := w.state(id); return ok && !s.Down && s.Heard }

// ownerDown checks the error of whoever needs a node that is down.
func ownerDown(t *testing.T, err error) *protocol.Error {
	t.Helper()
	e, ok := errors.AsType[*protocol.Error](err)
	if !ok || e.Kind != protocol.KindOwnerDown || e.RetryAfter != quick().Retry {
		t.Errorf("the error is %v, want owner_down", err)
		return &protocol.Error{}
	}
	return e
}

// names checks which node an error's causes name, and where.
func (w *world) names(err error, id meta.NodeID, address string) {
	w.t.Helper()
	missing, ok := errors.AsType[*peer.Missing](err)
	if !ok || missing.Peer != (peer.Peer{Node: id, Address: address}) {
		w.t.Errorf("the error names %+v, want node %s at %s", missing, id, address)
	}
}

// lockedBuffer is a log.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
