//go:build postgres

package upload_test

import (
	"bytes"
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
)

// TestGuessesOnSeveralNodes: who guesses at a content has as many wrong proofs in
// an hour as the limit is, at however many nodes he does at once, and however
// often they start again.
func TestGuessesOnSeveralNodes(t *testing.T) {
	const limit = 3
	wrongSamples := func(c *upload.Config) {
		c.Shared, c.ClaimFailures, c.Instant = true, limit, meta.ScopeGlobal
		c.Sample = func(context.Context, meta.Content, [][2]int64) (io.ReaderAt, error) {
			return bytes.NewReader(make([]byte, block)), nil
		}
	}
	all := nodes(t, 3, wrongSamples)
	content := random(1, block)
	uid := all[0].begin(protocol.BeginUpload{Size: ptr(int64(len(content)))})
	all[0].put(uid, 1, content)
	f := all[0].commit(uid, protocol.CommitUpload{})
	guess := func(b *bench) protocol.Kind {
		r, err := b.Begin(context.Background(), owner, protocol.BeginUpload{Name: "guess", Size: &f.Size, Fingerprint: ptr(protocol.FingerprintOf(f.Size, blocksOf(content)))}, nil)
		if err != nil {
			return protocol.KindOf(err)
		}
		c, err := b.StartClaim(context.Background(), owner, r.UID, *f.Digest, "guesser")
		if err == nil {
			_, err = b.FinishClaim(context.Background(), owner, r.UID, c.Nonce, wrongProof, "guesser")
		}
		return protocol.KindOf(err)
	}
	var mu sync.Mutex
	kinds := map[protocol.Kind]int{}
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			kind := guess(all[i%len(all)])
			mu.Lock()
			defer mu.Unlock()
			kinds[kind]++
		})
	}
	wg.Wait()
	if kinds[protocol.KindClaimRefused] != limit || kinds[protocol.KindRateLimited] != 12-limit {
		t.Errorf("12 guesses end as %v", kinds)
	}
	again := all[1].service(wrongSamples)
	defer func() { must(t, again.Close()) }()
	restarted := *all[1]
	restarted.Service = again
	if kind := guess(&restarted); kind != protocol.KindRateLimited {
		t.Errorf("after a restart: %q", kind)
	}
	all[0].clock.add(time.Hour)
	if kind := guess(all[2]); kind != protocol.KindClaimRefused {
		t.Errorf("an hour later: %q", kind)
	}
}

// wrongProof is that of no content.
const wrongProof = "00000000000000000000000000000000000000000000000000000000000000aa"
