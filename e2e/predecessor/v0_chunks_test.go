package predecessor

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// chunkV0 sends a chunk that claims to have the MD5 of says.
func (c caller) chunkV0(l uploadV0, n string, content, says []byte) harness.Answer {
	c.t.Helper()
	return c.sendV0(l.URL.Multi.Upload, "&chunkNum="+n+"&md5="+md5Of(says), content)
}

// mergeV0 merges what was sent.
func (c caller) mergeV0(l uploadV0, num, size int, sum string) harness.Answer {
	c.t.Helper()
	c.authorization = ""
	return c.do(http.MethodPut, fmt.Sprintf("%s&num=%d&size=%d&md5=%s", l.URL.Multi.Merge, num, size, sum), nil)
}

// heldChunks are the numbers of the chunks that the daemon has.
func (c caller) heldChunks(l uploadV0) []int {
	c.t.Helper()
	ans := c.get(v0 + "/checkpoint?uid=" + l.UID)
	held := dataV0[[]int](c, ans)
	if held == nil { // clients go through it as a list
		c.t.Errorf("held is %s", ans.Body)
	}
	slices.Sort(held)
	return held
}

// inChunks cuts content into chunks of these lengths, and one of the rest.
func inChunks(content []byte, lengths ...int) (chunks [][]byte) {
	for _, n := range lengths {
		chunks = append(chunks, content[:n])
		content = content[n:]
	}
	return append(chunks, content)
}

// A part file was truncated before the MD5 of what replaces it was looked at.
func TestU01CorruptRetryLeavesTheGoodChunk(t *testing.T) {
	owner := shared.as(t, alice)
	content := harness.Content(1, 3000)
	chunks := inChunks(content, 1000, 700)
	l := owner.uploadV0("u01.bin")
	for i, chunk := range chunks {
		owner.want(owner.chunkV0(l, fmt.Sprint(i+1), chunk, chunk), http.StatusOK)
	}
	corrupt := bytes.Clone(chunks[1])
	corrupt[5] ^= 1
	owner.refusedV0(owner.chunkV0(l, "2", corrupt, chunks[1]), http.StatusUnprocessableEntity)
	owner.refusedV0(owner.chunkV0(l, "2", chunks[1][:10], chunks[1]), http.StatusUnprocessableEntity)
	owner.refusedV0(owner.chunkV0(l, "2", nil, chunks[1]), http.StatusUnprocessableEntity)
	if held := owner.heldChunks(l); !slices.Equal(held, []int{1, 2, 3}) {
		t.Errorf("held are %v", held)
	}
	owner.want(owner.mergeV0(l, 3, len(content), md5Of(content)), http.StatusOK)
	owner.holds(contentOf(uidOf(t, l.UID)), content)
}

// A merge with a wrong count deleted all parts.
func TestU02WrongMergeChangesNothing(t *testing.T) {
	owner := shared.as(t, alice)
	content := harness.Content(2, 3000)
	chunks := inChunks(content, 1000, 700)
	l := owner.uploadV0("u02.bin")
	for i, chunk := range chunks[:2] {
		owner.want(owner.chunkV0(l, fmt.Sprint(i+1), chunk, chunk), http.StatusOK)
	}
	for _, wrong := range []struct{ num, size int }{{3, 3000}, {1, 1000}, {0, 0}, {-1, 1700}, {2, 1699}, {2, 1701}, {1 << 30, 3000}, {2, -1}} {
		owner.refusedV0(owner.mergeV0(l, wrong.num, wrong.size, md5Of(content)), http.StatusUnprocessableEntity)
	}
	owner.refusedV0(owner.mergeV0(l, 2, 1700, md5Of(content)), http.StatusUnprocessableEntity) // they came in order
	if held := owner.heldChunks(l); !slices.Equal(held, []int{1, 2}) {
		t.Errorf("held are %v", held)
	}
	owner.refused(owner.get(contentOf(uidOf(t, l.UID))), protocol.KindNotFound)
	owner.want(owner.chunkV0(l, "3", chunks[2], chunks[2]), http.StatusOK)
	for range 2 {
		owner.want(owner.mergeV0(l, 3, len(content), md5Of(content)), http.StatusOK)
	}
	owner.holds(contentOf(uidOf(t, l.UID)), content)
}

// The same part sent at once made two rows, and a merge that deleted everything.
func TestU03SameChunkAtOnceIsOneChunk(t *testing.T) {
	owner := shared.as(t, alice)
	content := harness.Content(3, 50_000)
	l := owner.uploadV0("u03.bin")
	for _, ans := range atOnce(16, func(int) harness.Answer { return owner.chunkV0(l, "1", content, content) }) {
		owner.want(ans, http.StatusOK)
	}
	owner.want(owner.chunkV0(l, "1", content, content), http.StatusOK)
	if held := owner.heldChunks(l); !slices.Equal(held, []int{1}) {
		t.Errorf("held are %v", held)
	}
	owner.want(owner.mergeV0(l, 1, len(content), md5Of(content)), http.StatusOK)
	owner.holds(contentOf(uidOf(t, l.UID)), content)
}

// It looked for unfinished uploads in a state that none had: none was resumed.
func TestU04CheckpointListsEachChunk(t *testing.T) {
	owner := shared.as(t, alice)
	content := harness.Content(4, 5000)
	chunks := inChunks(content, 10, 2000, 1)
	l := owner.uploadV0("u04.bin")
	if held := owner.heldChunks(l); len(held) != 0 {
		t.Errorf("before anything was sent %v are held", held)
	}
	var sent []int
	for _, n := range []int{4, 2, 1, 3} {
		owner.want(owner.chunkV0(l, fmt.Sprint(n), chunks[n-1], chunks[n-1]), http.StatusOK)
		sent = append(sent, n)
		slices.Sort(sent)
		if held := owner.heldChunks(l); !slices.Equal(held, sent) {
			t.Errorf("sent are %v, and held %v", sent, held)
		}
	}
	owner.want(owner.mergeV0(l, 4, len(content), md5Of(content)), http.StatusOK)
	owner.holds(contentOf(uidOf(t, l.UID)), content)
}

// Parts that were deleted were reported as present.
func TestU05ChunksOfAnAbortedUploadAreGone(t *testing.T) {
	owner := shared.as(t, alice)
	l := owner.uploadV0("u05.bin")
	owner.want(owner.chunkV0(l, "1", []byte("abc"), []byte("abc")), http.StatusOK)
	owner.want(owner.chunkV0(l, "3", []byte("def"), []byte("def")), http.StatusOK)
	owner.want(owner.do(http.MethodDelete, "/v1/uploads/"+l.UID, nil), http.StatusNoContent)
	gone := func() {
		t.Helper()
		if held := owner.heldChunks(l); len(held) != 0 {
			t.Errorf("held are %v", held)
		}
		owner.refusedV0(owner.mergeV0(l, 1, 3, md5Of([]byte("abc"))), http.StatusNotFound)
	}
	gone()
	// Who goes on with the link is told that it is over, not that a chunk is there.
	for _, n := range []string{"1", "2"} {
		owner.refusedV0(owner.chunkV0(l, n, []byte("abc"), []byte("abc")), http.StatusUnprocessableEntity)
	}
	gone()
	owner.refused(owner.get(contentOf(uidOf(t, l.UID))), protocol.KindNotFound)
	// With a new one it begins at the beginning.
	l = owner.uploadV0("u05.bin")
	if held := owner.heldChunks(l); len(held) != 0 {
		t.Errorf("held are %v", held)
	}
	owner.want(owner.chunkV0(l, "1", []byte("abc"), []byte("abc")), http.StatusOK)
	owner.want(owner.mergeV0(l, 1, 3, md5Of([]byte("abc"))), http.StatusOK)
	owner.holds(contentOf(uidOf(t, l.UID)), []byte("abc"))
}

// Part numbers were taken as they came, and a wrong one answered without a word.
func TestU11ChunkNumbersAreBounded(t *testing.T) {
	owner := shared.as(t, alice)
	l := owner.uploadV0("u11.bin")
	for _, n := range []string{"0", "-1", "10001", "99999999999999999999", "x", "", "1.0", "0x1", "%2B1"} {
		owner.refusedV0(owner.chunkV0(l, n, []byte("abc"), []byte("abc")), http.StatusUnprocessableEntity)
	}
	if held := owner.heldChunks(l); len(held) != 0 {
		t.Errorf("held are %v", held)
	}
}

// A part that was there already kept its lock, and the next one was answered 500.
func TestU12ChunkThatIsThereIsTakenAgain(t *testing.T) {
	owner := shared.as(t, alice)
	l := owner.uploadV0("u12.bin")
	for range 20 {
		owner.want(owner.chunkV0(l, "1", []byte("abc"), []byte("abc")), http.StatusOK)
	}
	for _, ans := range atOnce(16, func(int) harness.Answer { return owner.chunkV0(l, "1", []byte("abc"), []byte("abc")) }) {
		owner.want(ans, http.StatusOK)
	}
	owner.want(owner.mergeV0(l, 1, 3, md5Of([]byte("abc"))), http.StatusOK)
	owner.holds(contentOf(uidOf(t, l.UID)), []byte("abc"))
}

// A large file was found for an instant upload only once a job had merged it.
func TestU21FileInChunksIsFoundByItsMD5AtOnce(t *testing.T) {
	owner := shared.as(t, alice)
	content := harness.Content(221, 100_000)
	l := owner.uploadV0("u21.bin")
	for i, chunk := range inChunks(content, 60_000) {
		owner.want(owner.chunkV0(l, fmt.Sprint(i+1), chunk, chunk), http.StatusOK)
	}
	owner.want(owner.mergeV0(l, 2, len(content), md5Of(content)), http.StatusOK)
	owner.holds(contentOf(uidOf(t, owner.resumeV0(content)[0].UID)), content)
}

// Nor was one that came out of order, whose MD5 is not known when it is asked for:
// it is waited for.
func TestU21FileInChunksOutOfOrderIsFoundAtOnce(t *testing.T) {
	for n := range 5 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel() // each waits for its digest
			owner := shared.as(t, alice)
			content := harness.Content(321+uint64(n), 100_000)
			chunks := inChunks(content, 60_000)
			l := owner.uploadV0("u21.bin")
			for _, n := range []int{2, 1} {
				owner.want(owner.chunkV0(l, fmt.Sprint(n), chunks[n-1], chunks[n-1]), http.StatusOK)
			}
			owner.want(owner.mergeV0(l, 2, len(content), md5Of(content)), http.StatusOK)
			got := owner.resumeV0(content)[0]
			if got.UID == "" || got.UID == l.UID {
				t.Fatalf("given %+v", got)
			}
			owner.holds(contentOf(uidOf(t, got.UID)), content)
		})
	}
}

// A merge published what the client claimed, and a failure later left it there.
func TestJ01ChunksOutOfOrderAreFoundOutLater(t *testing.T) {
	owner := shared.as(t, alice)
	content := harness.Content(31, 3000)
	chunks := inChunks(content, 1000)
	l := owner.uploadV0("j01.bin")
	for _, n := range []int{2, 1} {
		owner.want(owner.chunkV0(l, fmt.Sprint(n), chunks[n-1], chunks[n-1]), http.StatusOK)
	}
	// Nobody can know yet that this is not its MD5; the digest job does.
	owner.want(owner.mergeV0(l, 2, len(content), md5Of([]byte("another"))), http.StatusOK)
	harness.Eventually(t, "it is not served", func() bool { return owner.get(contentOf(uidOf(t, l.UID))).Code() == protocol.KindContentCorrupt })
}

// Of a file in parts, ranges read past their end, or beyond the last part.
func TestD10RangesOverChunks(t *testing.T) {
	owner := shared.as(t, alice)
	content := harness.Content(210, 5000)
	chunks := inChunks(content, 10, 2000, 1)
	l := owner.uploadV0("d10.bin")
	for _, n := range []int{3, 1, 4, 2} {
		owner.want(owner.chunkV0(l, fmt.Sprint(n), chunks[n-1], chunks[n-1]), http.StatusOK)
	}
	owner.want(owner.mergeV0(l, 4, len(content), md5Of(content)), http.StatusOK)
	for _, way := range owner.ways(uidOf(t, l.UID)) {
		for _, from := range []int{0, 9, 10, 11, 2009, 2010, 2011, 4999} {
			for _, to := range []int{from, 10, 2010, 2011, 4999} {
				if to < from {
					continue
				}
				ans := owner.want(owner.get(way, "Range", fmt.Sprintf("bytes=%d-%d", from, to)), http.StatusPartialContent)
				if !bytes.Equal(ans.Body, content[from:to+1]) {
					t.Errorf("%d-%d: %d bytes that are others", from, to, len(ans.Body))
				}
			}
		}
		owner.refused(owner.get(way, "Range", "bytes=5000-"), protocol.KindRange)
	}
}
