//go:build servers && linux

package cluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

const (
	clientsOfHistory = 6
	callsOfHistory   = 200
	// together is how many files are worked on at a time, so that clients meet.
	together = 3
	contents = 3
)

// history is one that is being made: clients ask all nodes about a few files.
type history struct {
	c    *cluster
	seed uint64
	apis []*harness.API
	// data are the contents, of one length, digests theirs.
	data    [contents][]byte
	digests [contents]protocol.Digest
	uids    [filesOfHistory]protocol.UID
	began   time.Time
	calls   atomic.Int64
	// amid is closed at the call of that number.
	amid chan struct{}

	mu  sync.Mutex
	ops []porcupine.Operation
}

// newHistory makes the files that a history begins with: each content in a file
// that is committed, and uploads that may be claimed.
func (c *cluster) newHistory(seed uint64) *history {
	c.t.Helper()
	h := &history{c: c, seed: seed, amid: make(chan struct{})}
	for _, n := range c.nodes {
		h.apis = append(h.apis, harness.NewAPI(c.t, "http://"+n.listen)) // where it is found again after it was killed
	}
	rnd := rand.New(rand.NewPCG(seed, 0))
	size := int64(500 + rnd.IntN(3000))
	for i := range h.data {
		h.data[i] = harness.Content(seed*contents+uint64(i), size)
		h.digests[i] = digestOf(h.data[i])
		f := h.apis[i%len(h.apis)].MustFile(h.apis[i%len(h.apis)].PutFile(fmt.Sprintf("seed-%d", i), h.data[i]), http.StatusCreated)
		h.uids[i] = f.UID
	}
	fingerprint, err := protocol.FingerprintReader(bytes.NewReader(h.data[0]), size)
	if err != nil {
		c.t.Fatal(err)
	}
	for i := seeds; i < filesOfHistory; i++ {
		api := h.apis[i%len(h.apis)]
		ans := api.JSON("POST", "/v1/uploads", map[string]any{"name": fmt.Sprintf("file-%d", i), "size": size, "fingerprint": fingerprint})
		api.Require(ans, http.StatusCreated)
		var u protocol.Upload
		if err := json.Unmarshal(ans.Body, &u); err != nil || !u.Maybe {
			c.t.Fatalf("an upload that may be claimed: %s, %v", ans.Body, err)
		}
		h.uids[i] = u.UID
	}
	return h
}

func digestOf(data []byte) protocol.Digest {
	h := sha256.Sum256(data)
	d, err := protocol.DigestOfSums(h[:])
	if err != nil {
		panic(err)
	}
	return d
}

// run has the clients ask, and gives what they asked and were answered. In the
// middle, what is to happen then does; in the end each file is read.
func (h *history) run(happens func()) []porcupine.Operation {
	h.began = time.Now()
	var wg sync.WaitGroup
	for i := range clientsOfHistory {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(h.seed, uint64(i+1)))
			for n := h.calls.Add(1); n <= callsOfHistory; n = h.calls.Add(1) {
				if n == callsOfHistory/2 {
					close(h.amid)
				}
				h.ask(i, rnd, h.choose(int(n-1), rnd))
			}
		})
	}
	<-h.amid
	happens()
	wg.Wait()
	rnd := rand.New(rand.NewPCG(h.seed, clientsOfHistory+1))
	for i := range h.uids {
		h.ask(0, rnd, call{verb: read, file: i, content: none})
	}
	return h.ops
}

// choose is the n-th call.
func (h *history) choose(n int, rnd *rand.Rand) call {
	first := seeds + n*(filesOfHistory-seeds-together+1)/callsOfHistory
	c := call{file: first + rnd.IntN(together), content: none}
	switch k := rnd.IntN(100); {
	case k < 4:
		c.verb, c.file = remove, rnd.IntN(seeds)
	case k < 6:
		c.verb, c.file = read, rnd.IntN(seeds)
	case k < 32:
		c.verb, c.content = putPart, rnd.IntN(contents)
	case k < 54:
		c.verb = commit
	case k < 64:
		c.verb, c.content = claim, rnd.IntN(contents)
	case k < 67:
		c.verb = abort
	case k < 71:
		c.verb = remove
	default:
		c.verb = read
	}
	return c
}

// ask has a node do it, and notes the answer. One in fifty is not waited for.
func (h *history) ask(client int, rnd *rand.Rand, c call) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if rnd.IntN(50) == 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(rnd.Int64N(int64(5*time.Millisecond))))
		defer cancel()
	}
	node := rnd.IntN(len(h.apis))
	op := porcupine.Operation{ClientId: client, Input: c, Call: int64(time.Since(h.began))}
	var r reply
	for tried := 0; ; tried++ {
		ans := h.send(ctx, h.apis[(node+tried)%len(h.apis)], c)
		if tried < 100*len(h.apis) && unreached(ans.Err) {
			time.Sleep(10 * time.Millisecond) // that node is dead
			continue
		}
		r = h.reply(c, ans)
		break
	}
	op.Return, op.Output = int64(time.Since(h.began)), r
	if r.outcome == unknown {
		op.Return = math.MaxInt64
		if c.verb == read {
			return // it says nothing
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, op)
}

// unreached reports whether a request failed before there was a connection: it
// has done nothing.
func unreached(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial" && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// send sends the request; of a claim both rounds.
func (h *history) send(ctx context.Context, api *harness.API, c call) harness.Answer {
	uid := h.uids[c.file].String()
	upload, path := "/v1/uploads/"+uid, "/v1/files/"+uid
	switch c.verb {
	case putPart:
		data := h.data[c.content]
		return api.DoContext(ctx, "PUT", upload+"/parts/1", bytes.NewReader(data), int64(len(data)), protocol.HeaderXXH3, protocol.SumXXH3(data).String())
	case commit:
		return api.DoContext(ctx, "POST", upload+"/commit", nil, 0)
	case claim:
		return h.claim(ctx, api, c)
	case abort:
		return api.DoContext(ctx, "DELETE", upload, nil, 0)
	case remove:
		return api.DoContext(ctx, "DELETE", path, nil, 0)
	default:
		return api.DoContext(ctx, "GET", path+"/content", nil, 0)
	}
}

func (h *history) claim(ctx context.Context, api *harness.API, c call) harness.Answer {
	path := "/v1/uploads/" + h.uids[c.file].String() + "/claim"
	post := func(v map[string]any) harness.Answer {
		body, err := json.Marshal(v)
		if err != nil {
			return harness.Answer{Err: err}
		}
		return api.DoContext(ctx, "POST", path, bytes.NewReader(body), int64(len(body)), "Content-Type", "application/json")
	}
	digest, data := h.digests[c.content], h.data[c.content]
	ans := post(map[string]any{"digest": digest})
	if ans.Err != nil || ans.Status != http.StatusOK {
		return ans
	}
	var ch protocol.Challenge
	if err := json.Unmarshal(ans.Body, &ch); err != nil {
		return harness.Answer{Err: err}
	}
	nonce, err := protocol.ParseNonce(ch.Nonce)
	if err != nil {
		return harness.Answer{Err: err}
	}
	proof, err := protocol.Proof(nonce, h.uids[c.file], int64(len(data)), digest, ch.Ranges, bytes.NewReader(data))
	if err != nil {
		return harness.Answer{Err: err}
	}
	return post(map[string]any{"nonce": ch.Nonce, "proof": fmt.Sprintf("%x", proof)})
}

// reply reads an answer. One that no daemon should give fails the test.
func (h *history) reply(c call, ans harness.Answer) reply {
	switch {
	case ans.Err != nil, ans.Status >= 500:
		return reply{unknown, none}
	case ans.Status == http.StatusNotFound:
		return reply{notFound, none}
	case ans.Status == http.StatusConflict:
		for kind, o := range map[protocol.Kind]outcome{protocol.KindCommitted: committed, protocol.KindPartsMissing: missing, protocol.KindClaimRefused: refused} {
			if ans.Code() == kind {
				return reply{o, none}
			}
		}
	case ans.Status == http.StatusNoContent && (c.verb == abort || c.verb == remove), ans.Status == http.StatusOK && (c.verb == putPart || c.verb == claim):
		return reply{done, none}
	case ans.Status == http.StatusOK && c.verb == read:
		return reply{done, h.which(func(i int) bool { return bytes.Equal(h.data[i], ans.Body) }, ans)}
	case ans.Status == http.StatusOK && c.verb == commit:
		var f protocol.File
		if err := json.Unmarshal(ans.Body, &f); err == nil && f.Digest != nil {
			return reply{done, h.which(func(i int) bool { return h.digests[i] == *f.Digest }, ans)}
		}
	}
	h.c.t.Errorf("history %d: %s was answered %d: %.300s", h.seed, describe(c, reply{unknown, none}), ans.Status, ans.Body)
	return reply{unknown, none}
}

// which is the content that matches.
func (h *history) which(matches func(int) bool, ans harness.Answer) int {
	for i := range h.data {
		if matches(i) {
			return i
		}
	}
	h.c.t.Errorf("history %d: bytes came back that nobody put: %.100q", h.seed, ans.Body)
	return none
}
