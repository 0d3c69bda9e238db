package process

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

func TestSamePartFromEightClients(t *testing.T) {
	d := harness.StartDaemon(t, bin, t.TempDir())
	api := d.API()
	for range 5 {
		u := api.MustBegin("contested", protocol.MinPartSize)
		versions := map[protocol.XXH3][]byte{}
		var group sync.WaitGroup
		for i := range 8 {
			data := harness.Content(uint64(u.UID)+uint64(i), protocol.MinPartSize)
			versions[protocol.SumXXH3(data)] = data
			group.Go(func() {
				if ans := d.API().PutPart(u.UID, 1, data); ans.Status != http.StatusOK {
					t.Errorf("client %d: %d %s %v", i, ans.Status, ans.Body, ans.Err)
				}
			})
		}
		group.Wait()
		now, ans := api.Upload(u.UID)
		api.Require(ans, http.StatusOK)
		if len(now.Parts) != 1 || versions[now.Parts[0].XXH3] == nil {
			t.Fatalf("listed parts: %+v", now.Parts)
		}
		f := api.MustFile(api.Commit(u.UID), http.StatusOK)
		api.MustHold(f.UID, versions[now.Parts[0].XXH3])
	}
	stopClean(t, d)
}

func TestEightCommitsAtOnce(t *testing.T) {
	d := harness.StartDaemon(t, bin, t.TempDir())
	api := d.API()
	data := harness.Content(3, 2*protocol.MinPartSize+1)
	u := api.MustBegin("once", int64(len(data)))
	api.MustPutParts(u, data)
	answers := make([]harness.Answer, 8)
	var group sync.WaitGroup
	for i := range answers {
		group.Go(func() { answers[i] = d.API().Commit(u.UID) })
	}
	group.Wait()
	first := 0
	for i, ans := range answers {
		if f := api.MustFile(ans, http.StatusOK); f.UID != u.UID || !bytes.Equal(ans.Body, answers[0].Body) {
			t.Errorf("answer %d: %s", i, ans.Body)
		}
		if ans.Header.Get(protocol.HeaderRepeated) != "true" {
			first++
		}
	}
	if first != 1 {
		t.Errorf("%d of 8 commits were told that they are the first", first)
	}
	api.MustHold(u.UID, data)
	if ans := api.PutPart(u.UID, 1, data[:protocol.MinPartSize]); ans.Code() != protocol.KindCommitted {
		t.Errorf("a part after the commit: %d %s", ans.Status, ans.Body)
	}
	stopClean(t, d)
}

// TestFailedPutsOfAPartLeaveTheRecordedOne: a wrong hash, a wrong length and a
// body that ends early each fail, and the part that was accepted stays.
func TestFailedPutsOfAPartLeaveTheRecordedOne(t *testing.T) {
	d := harness.StartDaemon(t, bin, t.TempDir())
	api := d.API()
	data := harness.Content(4, protocol.MinPartSize+100)
	u := api.MustBegin("kept", int64(len(data)))
	api.MustPutParts(u, data)
	path := fmt.Sprintf("/v1/uploads/%s/parts/1", u.UID)
	other := harness.Content(5, protocol.MinPartSize)

	wrong := protocol.SumXXH3(data).String()
	if ans := api.Do("PUT", path, bytes.NewReader(other), int64(len(other)), protocol.HeaderXXH3, wrong); ans.Code() != protocol.KindChecksumMismatch {
		t.Errorf("wrong hash: %d %s %v", ans.Status, ans.Body, ans.Err)
	}
	if ans := api.PutPart(u.UID, 1, other[:100]); ans.Code() != protocol.KindBadLength {
		t.Errorf("wrong length: %d %s %v", ans.Status, ans.Body, ans.Err)
	}
	early := io.MultiReader(bytes.NewReader(other[:5<<20]), failing{})
	if ans := api.Do("PUT", path, early, protocol.MinPartSize); ans.Err == nil {
		t.Errorf("a body that ends early was answered %d %s", ans.Status, ans.Body)
	}
	now, ans := api.Upload(u.UID)
	api.Require(ans, http.StatusOK)
	if len(now.Parts) != 2 || now.Parts[0].XXH3 != protocol.SumXXH3(data[:protocol.MinPartSize]) {
		t.Errorf("listed parts: %+v", now.Parts)
	}
	f := api.MustFile(api.Commit(u.UID), http.StatusOK)
	api.MustHold(f.UID, data)
	stopClean(t, d)
}

// failing is a body whose sender gives up.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func sumOf(data []byte) [32]byte { return sha256.Sum256(data) }
