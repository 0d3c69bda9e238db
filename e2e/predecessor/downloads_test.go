package predecessor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// ways are the addresses at which a file is read: its own, a link's, and v0's,
// which is not asked for, as that waits for the file's MD5.
func (c caller) ways(uid protocol.UID) []string {
	c.t.Helper()
	l := c.link(toGet(uid))
	return []string{contentOf(uid), "/l/" + l.Token, ofV1(l)}
}

// Files of some sizes lost their last byte, and those of one byte all of it.
func TestD01EveryByteOfEverySize(t *testing.T) {
	owner := shared.as(t, alice)
	for _, at := range []int{0, 1 << 20, 2 << 20, 4 << 20} {
		for d := -2; d <= 2; d++ {
			size := at + d
			if size < 0 {
				continue
			}
			content := harness.Content(uint64(size), int64(size))
			f := owner.putParts("d01", content)
			for _, way := range owner.ways(f.UID) {
				owner.holds(way, content)
			}
		}
	}
}

// An error of the storage was logged, and the body went on with other bytes.
func TestD02ErrorInTheMiddleCutsTheBody(t *testing.T) {
	owner := shared.as(t, alice)
	for n := range 3 { // once it is known to be damaged, nothing of it is sent
		content := harness.Content(102+uint64(n), 9<<20)
		f := owner.putParts("d02", content)
		way := owner.ways(f.UID)[n]
		shared.flip(t, f, 5<<20)
		owner.want(owner.get(way, "Range", "bytes=0-10"), http.StatusPartialContent)
		ans := owner.get(way)
		if ans.Status != http.StatusOK || ans.Err == nil || !bytes.HasPrefix(content, ans.Body) || len(ans.Body) >= 8<<20 {
			t.Errorf("%d with %d bytes, %v", ans.Status, len(ans.Body), ans.Err)
		}
		// What is asked for alone is refused before anything is sent.
		owner.refused(owner.get(way, "Range", "bytes=5242880-5242890"), protocol.KindContentCorrupt)
	}
}

// A read that came short was taken for whole: what was left of the buffer was sent.
func TestD03ShortReadIsNotFilledUp(t *testing.T) {
	owner := shared.as(t, alice)
	for n := range 3 { // once it is known to be damaged, nothing of it is read
		content := harness.Content(103+uint64(n), 5<<20+7)
		f := owner.putParts("d03", content)
		way := owner.ways(f.UID)[n]
		shared.damage(t, f, func(file *os.File) error { return file.Truncate(f.Size - 100) })
		ans := owner.get(way)
		if ans.Status != http.StatusOK || ans.Err == nil || !bytes.HasPrefix(content, ans.Body) || len(ans.Body) > len(content)-100 {
			t.Errorf("%s: %d with %d bytes, %v", way, ans.Status, len(ans.Body), ans.Err)
		}
		owner.refused(owner.get(way), protocol.KindContentCorrupt)
	}
}

// Ranges were counted wrong, and answered as the whole.
func TestD08RangesAsWritten(t *testing.T) {
	owner := shared.as(t, alice)
	const content = "0123456789"
	f := owner.put("d08", []byte(content))
	for _, way := range owner.ways(f.UID) {
		for asked, want := range map[string]string{
			"bytes=0-0": "0", "bytes=9-9": "9", "bytes=-1": "9", "bytes=-3": "789", "bytes=-100": content, "bytes=3-": "3456789", "bytes=3-100": "3456789", "bytes=2-4": "234",
		} {
			ans := owner.want(owner.get(way, "Range", asked), http.StatusPartialContent)
			from := strings.Index(content, want)
			if got := ans.Header.Get("Content-Range"); string(ans.Body) != want || got != fmt.Sprintf("bytes %d-%d/10", from, from+len(want)-1) {
				t.Errorf("%s: %q, %s", asked, ans.Body, got)
			}
		}
		for _, asked := range []string{"bytes=10-", "bytes=100-200", "bytes=-0"} {
			ans := owner.get(way, "Range", asked)
			if owner.refused(ans, protocol.KindRange); !isV0(ans) && ans.Header.Get("Content-Range") != "bytes */10" {
				t.Errorf("%s: %v", asked, ans.Header)
			}
		}
		for _, asked := range []string{"bytes=0-1,8-9", "bytes=0-1, 3-4"} {
			ans := owner.want(owner.get(way, "Range", asked), http.StatusPartialContent)
			if !strings.HasPrefix(ans.Header.Get("Content-Type"), "multipart/byteranges") {
				t.Errorf("%s: %v", asked, ans.Header)
			}
		}
		for _, asked := range []string{"bytes", "-", "bytes=", "0-1", "bytes=x-y", "bytes=4-3", "items=0-1"} {
			ans := owner.get(way, "Range", asked)
			if whole := ans.Status == http.StatusOK && string(ans.Body) == content; !whole && ans.Status != http.StatusRequestedRangeNotSatisfiable && ans.Status != http.StatusUnprocessableEntity {
				t.Errorf("%s: %d %s", asked, ans.Status, ans.Body)
			}
		}
	}
}

// A range that reached the end was answered 200: who resumed broke the file.
func TestD09ResumedDownloadIsPartial(t *testing.T) {
	owner := shared.as(t, alice)
	content := harness.Content(109, 100_000)
	f := owner.put("d09", content)
	for _, way := range owner.ways(f.UID) {
		for _, from := range []int{0, 1, 50_000, 99_999} {
			ans := owner.want(owner.get(way, "Range", fmt.Sprintf("bytes=%d-", from), "If-Range", f.ETag), http.StatusPartialContent)
			if want := fmt.Sprintf("bytes %d-99999/100000", from); !bytes.Equal(ans.Body, content[from:]) || ans.Header.Get("Content-Range") != want {
				t.Errorf("from %d: %d bytes, %s", from, len(ans.Body), ans.Header.Get("Content-Range"))
			}
		}
		ans := owner.want(owner.get(way, "Range", "bytes=5-", "If-Range", `"another"`), http.StatusOK)
		if !bytes.Equal(ans.Body, content) || ans.Header.Get("Content-Range") != "" {
			t.Errorf("of another version: %d bytes, %v", len(ans.Body), ans.Header)
		}
	}
}

// Of a file in parts, ranges read past their end, or beyond the last part.
func TestD10RangesOverParts(t *testing.T) {
	owner := shared.as(t, alice)
	content := harness.Content(110, 2*protocol.MinPartSize+5)
	u := owner.begin("d10", len(content))
	for _, n := range []int{3, 1, 2} { // each again, so that none lies in its place
		from := (n - 1) * int(u.PartSize)
		part := content[from:min(from+int(u.PartSize), len(content))]
		owner.want(owner.part(u.UID, n, make([]byte, len(part))), http.StatusOK)
		owner.want(owner.part(u.UID, n, part), http.StatusOK)
	}
	owner.want(owner.commit(u.UID), http.StatusOK)
	for _, way := range owner.ways(u.UID) {
		for _, r := range [][2]int{{0, 0}, {1<<23 - 1, 1 << 23}, {1<<23 - 2, 1<<24 + 2}, {1 << 24, 1<<24 + 4}, {1<<24 + 4, 1<<24 + 4}, {5, 1 << 23}} {
			ans := owner.want(owner.get(way, "Range", fmt.Sprintf("bytes=%d-%d", r[0], r[1])), http.StatusPartialContent)
			if !bytes.Equal(ans.Body, content[r[0]:r[1]+1]) {
				t.Errorf("%v: %d bytes that are others", r, len(ans.Body))
			}
		}
		owner.refused(owner.get(way, "Range", fmt.Sprintf("bytes=%d-", len(content))), protocol.KindRange)
	}
}

// Each download that was broken off left goroutines behind for ever.
func TestD11AbortedDownloadsLeaveNothing(t *testing.T) {
	owner := shared.as(t, alice)
	f := owner.putParts("d11", harness.Content(111, 9<<20))
	ways := owner.ways(f.UID)
	abort := func(way string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, shared.url+way, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", owner.authorization)
		transport := &http.Transport{DisableKeepAlives: true}
		ans, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ans.Body.Read(make([]byte, 1000))
		if err := errors.Join(err, ans.Body.Close()); err != nil {
			t.Fatal(err)
		}
		transport.CloseIdleConnections()
	}
	abort(ways[0])
	goroutines, open := runtime.NumGoroutine(), descriptors(t)
	for n := range abortedDownloads {
		abort(ways[n%len(ways)])
	}
	harness.Eventually(t, "all of them end", func() bool { return runtime.NumGoroutine() <= goroutines+4 && descriptors(t) <= open+4 })
}

// There was no ETag, no condition and no HEAD, and Content-Range where it means nothing.
func TestD12Conditions(t *testing.T) {
	owner := shared.as(t, alice)
	f := owner.put("d12", []byte("0123456789"))
	past, future := time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat), time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	for _, way := range owner.ways(f.UID) {
		for _, c := range []struct {
			name, value string
			want        int
		}{
			{"If-None-Match", f.ETag, http.StatusNotModified},
			{"If-None-Match", `"another"`, http.StatusOK},
			{"If-Match", f.ETag, http.StatusOK},
			{"If-Match", `"another"`, http.StatusPreconditionFailed},
			{"If-Modified-Since", future, http.StatusNotModified},
			{"If-Modified-Since", past, http.StatusOK},
			{"If-Unmodified-Since", past, http.StatusPreconditionFailed},
		} {
			ans := owner.get(way, c.name, c.value)
			if c.want == http.StatusPreconditionFailed {
				owner.refused(ans, protocol.KindPreconditionFailed)
				continue
			}
			owner.want(ans, c.want)
			if ans.Header.Get("Content-Range") != "" {
				t.Errorf("%s: Content-Range on %d", c.name, ans.Status)
			}
		}
		head := owner.want(owner.do(http.MethodHead, way, nil), http.StatusOK)
		if h := head.Header; h.Get("ETag") != f.ETag || h.Get("Content-Length") != "10" || h.Get("Accept-Ranges") != "bytes" || h.Get("Last-Modified") == "" {
			t.Errorf("HEAD: %v", h)
		}
	}
}

// One unknown uid in a list hung the request for ever.
func TestD15UnknownUIDsAreAnswered(t *testing.T) {
	owner := shared.as(t, alice)
	f, others := owner.put("d15", []byte("abc")), shared.as(t, bob).put("d15", []byte("bob's"))
	for _, unknown := range []protocol.UID{1234567890123456, others.UID} {
		links := []protocol.NewLink{toGet(f.UID), toGet(unknown), toGet(f.UID)}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		body := fmt.Appendf(nil, `{"links": [{"action": "get", "uid": "%s"}, {"action": "get", "uid": "%s"}]}`, f.UID, unknown)
		ans := owner.api.DoContext(ctx, http.MethodPost, "/v1/links", bytes.NewReader(body), int64(len(body)), "Content-Type", "application/json", "Authorization", owner.authorization)
		cancel()
		owner.refused(ans, protocol.KindNotFound)
		owner.refused(owner.post("/v1/links", protocol.CreateLinks{Links: links}), protocol.KindNotFound)
	}
}

// An unknown uid was given a link, to the file 0.
func TestD16UnknownUIDsGetNoLink(t *testing.T) {
	owner := shared.as(t, alice)
	unknown := protocol.UID(1234567890123456)
	ans := owner.post("/v1/links", protocol.CreateLinks{Links: []protocol.NewLink{toGet(unknown)}})
	if owner.refused(ans, protocol.KindNotFound); bytes.Contains(ans.Body, []byte(`"token"`)) || !bytes.Contains(ans.Body, []byte(unknown.String())) {
		t.Errorf("answered %s", ans.Body)
	}
	owner.want(owner.do(http.MethodPost, "/v1/links", []byte(`{"links": [{"action": "get", "uid": "0"}]}`), "Content-Type", "application/json"), http.StatusBadRequest)
}

// A link was kept for five minutes, and given again when it had ended.
func TestD17EachLinkLivesFromItsOwnSigning(t *testing.T) {
	owner := shared.as(t, alice)
	f, minute := owner.put("d17", []byte("abc")), int64(60)
	l := toGet(f.UID)
	l.ExpiresIn = &minute
	first := owner.link(l)
	harness.Eventually(t, "a link signed later ends later", func() bool {
		asked := time.Now()
		again := owner.link(l)
		if d := again.ExpiresAt.Sub(asked); d < 59*time.Second || d > 62*time.Second {
			t.Fatalf("60 seconds from %s on it ends at %s", asked, again.ExpiresAt)
		}
		return again.ExpiresAt.After(first.ExpiresAt.Time)
	})
}

// Links of unfinished uploads were given, and gave rubbish.
func TestD18UnfinishedIsNotThere(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	u := owner.begin("d18", 6)
	owner.want(owner.do(http.MethodPut, "/v1/uploads/"+u.UID.String()+"/parts/1", []byte("abcdef")), http.StatusOK)
	owner.refused(owner.get(contentOf(u.UID)), protocol.KindNotFound)
	owner.refused(owner.post("/v1/links", protocol.CreateLinks{Links: []protocol.NewLink{toGet(u.UID)}}), protocol.KindNotFound)
	l := owner.link(toPut("d18"))
	with := stranger.with(l)
	with.want(with.post("/v1/uploads", map[string]any{"name": "d18", "size": 6}), http.StatusCreated)
	with.want(with.part(l.UID, 1, []byte("abcdef")), http.StatusOK)
	owner.refused(owner.get(contentOf(l.UID)), protocol.KindNotFound)
	owner.want(owner.commit(u.UID), http.StatusOK)
	owner.holds(contentOf(u.UID), []byte("abcdef"))
}
