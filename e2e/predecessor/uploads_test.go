package predecessor

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// parts are those that the daemon says it holds of an upload.
func (c caller) parts(uid protocol.UID) []protocol.Part {
	c.t.Helper()
	return into[protocol.Upload](c, c.get("/v1/uploads/"+uid.String()), http.StatusOK).Parts
}

// A part file was truncated before the MD5 of what replaces it was looked at.
func TestU01CorruptRetryLeavesTheGoodPart(t *testing.T) {
	owner := shared.as(t, alice)
	content := harness.Content(1, protocol.MinPartSize+10)
	u := owner.begin("u01", len(content))
	owner.want(owner.part(u.UID, 1, content[:u.PartSize]), http.StatusOK)
	owner.want(owner.part(u.UID, 2, content[u.PartSize:]), http.StatusOK)
	corrupt := bytes.Clone(content[:u.PartSize])
	corrupt[5] ^= 1
	sum := protocol.SumXXH3(content[:u.PartSize]).String()
	path := "/v1/uploads/" + u.UID.String() + "/parts/1"
	owner.refused(owner.do(http.MethodPut, path, corrupt, protocol.HeaderXXH3, sum), protocol.KindChecksumMismatch)
	owner.refused(owner.do(http.MethodPut, path, content[:100], protocol.HeaderXXH3, sum), protocol.KindBadLength)
	if len(owner.parts(u.UID)) != 2 {
		t.Errorf("there are the parts %+v", owner.parts(u.UID))
	}
	owner.want(owner.commit(u.UID), http.StatusOK)
	owner.holds(contentOf(u.UID), content)
}

// A merge with a wrong count deleted all parts.
func TestU02WrongCommitChangesNothing(t *testing.T) {
	owner := shared.as(t, alice)
	content := harness.Content(2, protocol.MinPartSize+10)
	u := owner.begin("u02", len(content))
	owner.want(owner.part(u.UID, 1, content[:u.PartSize]), http.StatusOK)
	before := owner.parts(u.UID)
	commit := "/v1/uploads/" + u.UID.String() + "/commit"
	owner.refused(owner.commit(u.UID), protocol.KindPartsMissing)
	owner.refused(owner.post(commit, map[string]any{"size": u.PartSize}), protocol.KindPartsDiffer)
	owner.refused(owner.post(commit, map[string]any{"size": len(content) + 1}), protocol.KindPartsDiffer)
	owner.want(owner.part(u.UID, 2, content[u.PartSize:]), http.StatusOK)
	owner.refused(owner.post(commit, map[string]any{"parts_xxh3": strings.Repeat("0", 32)}), protocol.KindPartsDiffer)
	owner.refused(owner.post(commit, map[string]any{"digest": strings.Repeat("0", 64)}), protocol.KindDigestDiffers)
	if after := owner.parts(u.UID); len(after) != 2 || after[0] != before[0] {
		t.Errorf("the parts were %+v and are %+v", before, after)
	}
	owner.refused(shared.as(t, bob).commit(u.UID), protocol.KindNotFound)
	owner.want(owner.commit(u.UID), http.StatusOK)
	owner.holds(contentOf(u.UID), content)
}

// The same part sent at once made two rows, and a merge that deleted everything.
func TestU03SamePartAtOnceIsOnePart(t *testing.T) {
	owner := shared.as(t, alice)
	content := harness.Content(3, 100_000)
	u := owner.begin("u03", len(content))
	for _, ans := range atOnce(16, func(int) harness.Answer { return owner.part(u.UID, 1, content) }) {
		owner.want(ans, http.StatusOK)
	}
	if parts := owner.parts(u.UID); len(parts) != 1 {
		t.Errorf("there are %+v", parts)
	}
	owner.want(owner.commit(u.UID), http.StatusOK)
	owner.holds(contentOf(u.UID), content)
}

// atOnce does something n times at the same time.
func atOnce(n int, do func(i int) harness.Answer) []harness.Answer {
	answers := make([]harness.Answer, n)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = do(i) })
	}
	wg.Wait()
	return answers
}

// It looked for unfinished uploads in a state that none had: none was resumed.
func TestU04PartsAreListedAfterEach(t *testing.T) {
	owner := shared.as(t, alice)
	content := harness.Content(4, 2*protocol.MinPartSize+1)
	u := owner.begin("u04", len(content))
	for _, n := range []int{3, 1, 2} {
		from := (n - 1) * int(u.PartSize)
		owner.want(owner.part(u.UID, n, content[from:min(from+int(u.PartSize), len(content))]), http.StatusOK)
		held := map[int]bool{}
		for _, p := range owner.parts(u.UID) {
			held[int(p.Number)] = true
		}
		if want := map[int][]bool{3: {false, false, true}, 1: {true, false, true}, 2: {true, true, true}}[n]; held[1] != want[0] || held[2] != want[1] || held[3] != want[2] {
			t.Errorf("after part %d there are %v", n, held)
		}
	}
	owner.want(owner.commit(u.UID), http.StatusOK)
	owner.holds(contentOf(u.UID), content)
}

// Parts that were deleted were reported as present.
func TestU05PartsOfAnAbortedUploadAreGone(t *testing.T) {
	owner := shared.as(t, alice)
	u := owner.begin("u05", 3)
	owner.want(owner.part(u.UID, 1, []byte("abc")), http.StatusOK)
	path := "/v1/uploads/" + u.UID.String()
	owner.want(owner.do(http.MethodDelete, path, nil), http.StatusNoContent)
	owner.refused(owner.get(path), protocol.KindNotFound)
	owner.refused(owner.commit(u.UID), protocol.KindNotFound)
	owner.refused(owner.part(u.UID, 1, []byte("abc")), protocol.KindNotFound)
	again := owner.begin("u05", 3)
	if again.UID == u.UID || len(again.Parts) != 0 {
		t.Errorf("begun again it is %+v", again)
	}
}

// A file without bytes was answered 500.
func TestU06FilesOfFewBytes(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	for size := range 4 {
		content := bytes.Repeat([]byte("x"), size)
		l := owner.link(toPut("u06"))
		stranger.want(stranger.do(http.MethodPut, "/l/"+l.Token, content), http.StatusCreated)
		for _, uid := range []protocol.UID{owner.put("u06", content).UID, owner.putParts("u06", content).UID, l.UID} {
			owner.holds(contentOf(uid), content)
			stranger.holds("/l/"+owner.link(toGet(uid)).Token, content)
		}
	}
}

// The zeros behind a short text were sniffed with it.
func TestU07ShortTextIsText(t *testing.T) {
	owner := shared.as(t, alice)
	types := map[protocol.UID]string{}
	for content, want := range map[string]string{"ten bytes.": "text/plain", "a": "text/plain", "<html></html>": "text/html", "\x89PNG\r\n\x1a\n": "image/png"} {
		types[owner.put("u07", []byte(content)).UID] = want
	}
	for uid, want := range types { // it is told by the digest job
		harness.Eventually(t, "a media type "+want, func() bool {
			f := into[protocol.File](owner, owner.get("/v1/files/"+uid.String()), http.StatusOK)
			return f.MediaType != nil && strings.HasPrefix(*f.MediaType, want)
		})
	}
}

// Each upload that failed left open files behind.
func TestU08FailedUploadsLeaveNoDescriptors(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	u, most := owner.begin("u08", 3), int64(2)
	bounded := toPut("u08")
	bounded.MaxSize = &most
	l := owner.link(bounded)
	fail := func(n int) {
		t.Helper()
		wrong := protocol.SumXXH3([]byte("other")).String()
		for range n {
			path := "/v1/uploads/" + u.UID.String() + "/parts/1"
			owner.refused(owner.do(http.MethodPut, path, []byte("abc"), protocol.HeaderXXH3, wrong), protocol.KindChecksumMismatch)
			owner.refused(owner.do(http.MethodPost, "/v1/files?name=u08", []byte("abc"), protocol.HeaderXXH3, wrong), protocol.KindChecksumMismatch)
			stranger.refused(stranger.do(http.MethodPut, "/l/"+l.Token, []byte("abc")), protocol.KindTooLarge)
		}
	}
	fail(5) // what is opened once
	before := descriptors(t)
	fail(failingUploads)
	if after := descriptors(t); after > before+8 {
		t.Errorf("there were %d descriptors and are %d", before, after)
	}
}

// A file that was stored was answered 500 where cleaning up failed.
func TestU10AcknowledgedPutMayBeRepeated(t *testing.T) {
	owner := shared.as(t, alice)
	key := []string{protocol.HeaderIdempotencyKey, "u10-key"}
	first, again := owner.put("u10", []byte("abc"), key...), owner.put("u10", []byte("abc"), key...)
	if first.UID != again.UID {
		t.Errorf("sent again it is another file: %s, %s", first.UID, again.UID)
	}
	u := owner.begin("u10", 3)
	for range 2 {
		owner.want(owner.part(u.UID, 1, []byte("abc")), http.StatusOK)
	}
	for range 2 {
		if f := into[protocol.File](owner, owner.commit(u.UID), http.StatusOK); f.UID != u.UID {
			t.Errorf("committed as %+v", f)
		}
	}
	owner.want(owner.do(http.MethodDelete, "/v1/files/"+u.UID.String(), nil), http.StatusNoContent)
}

// Part numbers were taken as they came, and a wrong one answered without a word.
func TestU11PartNumbersAreBounded(t *testing.T) {
	owner := shared.as(t, alice)
	u := owner.begin("u11", 3)
	for _, n := range []string{"0", "-1", "2", "10001", "99999999999999999999", "01", "+1", "1.0", "x", "%31"} {
		ans := owner.do(http.MethodPut, "/v1/uploads/"+u.UID.String()+"/parts/"+n, []byte("abc"))
		var p protocol.Problem
		if ans.Status < 400 || ans.Status > 413 || ans.Code() == "" {
			t.Errorf("part %s: %d %s", n, ans.Status, ans.Body)
		} else if p = into[protocol.Problem](owner, ans, ans.Status); p.Detail == "" {
			t.Errorf("part %s: %s says nothing", n, ans.Body)
		}
	}
	unsized := into[protocol.Upload](owner, owner.post("/v1/uploads", map[string]any{"name": "u11"}), http.StatusCreated)
	owner.refused(owner.part(unsized.UID, 10001, []byte("abc")), protocol.KindTooManyParts)
	if parts := owner.parts(u.UID); len(parts) != 0 {
		t.Errorf("there are %+v", parts)
	}
}

// A part that was there already kept its lock, and the next one was answered 500.
func TestU12PartThatIsThereIsTakenAgain(t *testing.T) {
	owner := shared.as(t, alice)
	u := owner.begin("u12", 3)
	owner.want(owner.part(u.UID, 1, []byte("abc")), http.StatusOK)
	for range 3 {
		for _, ans := range atOnce(8, func(int) harness.Answer { return owner.part(u.UID, 1, []byte("abc")) }) {
			owner.want(ans, http.StatusOK)
		}
	}
	owner.want(owner.commit(u.UID), http.StatusOK)
	owner.holds(contentOf(u.UID), []byte("abc"))
}

// Its cache kept what was deleted, for as long as it was read.
func TestU14WhatWasReadIsNotKeptAgainstTheTruth(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	f := owner.put("u14", []byte("abc"))
	path, l := "/v1/files/"+f.UID.String(), owner.link(toGet(f.UID))
	for range 3 {
		owner.holds(contentOf(f.UID), []byte("abc"))
		stranger.holds("/l/"+l.Token, []byte("abc"))
	}
	patched := owner.do(http.MethodPatch, path, []byte(`{"name": "u14/new"}`), "Content-Type", "application/merge-patch+json")
	owner.want(patched, http.StatusOK)
	if ans := owner.get(contentOf(f.UID)); savedAs(t, ans) != "new" {
		t.Errorf("after it was renamed: %v", ans.Header)
	}
	owner.want(owner.do(http.MethodDelete, path, nil), http.StatusNoContent)
	owner.refused(owner.get(contentOf(f.UID)), protocol.KindNotFound)
	owner.refused(owner.get(path), protocol.KindNotFound)
	stranger.refused(stranger.get("/l/"+l.Token), protocol.KindNotFound)
}

// Each link that was made left a folder and rows, used or not.
func TestU15LinksNotUsedLeaveNothing(t *testing.T) {
	own := newSite(t)
	owner := own.as(t, alice)
	before := own.kept(t)
	for n := range 20 {
		owner.link(toPut(fmt.Sprintf("u15/%d", n)))
	}
	if after := own.kept(t); !bytes.Equal([]byte(after), []byte(before)) {
		t.Errorf("there was\n%sand is\n%s", before, after)
	}
	list := into[protocol.UploadList](owner, owner.get("/v1/uploads"), http.StatusOK)
	files := into[protocol.FileList](owner, owner.get("/v1/files"), http.StatusOK)
	if len(list.Uploads) != 0 || len(files.Files) != 0 {
		t.Errorf("there are %+v and %+v", list, files)
	}
}

// Extensions were neither checked nor bounded, and names without one refused.
func TestU16NamesAreCheckedNotChanged(t *testing.T) {
	owner := shared.as(t, alice)
	for _, name := range []string{
		"../up", "a/../b", "/root", "a//b", "a/", ".", "..", "", "a\x00b", "a\nb", "a\x7fb", "a\u202eb", `a\b`, "x." + strings.Repeat("e", 4096),
		strings.Repeat("n", 256), strings.Repeat("d/", 600) + "x",
	} {
		owner.refused(owner.post("/v1/uploads", map[string]any{"name": name, "size": 3}), protocol.KindBadName)
		owner.refused(owner.post("/v1/links", protocol.CreateLinks{Links: []protocol.NewLink{toPut(name)}}), protocol.KindBadName)
	}
	owner.refused(owner.do(http.MethodPost, "/v1/files?name=a%ffb", []byte("abc")), protocol.KindBadName)
	for _, name := range []string{"noextension", "x.", "x.tar.gz", "x.报告"} {
		if f := owner.put(name, []byte("abc")); f.Name != name {
			t.Errorf("%q is recorded as %q", name, f.Name)
		}
	}
}

// +5 and 007 were uids too, of other paths and cache keys.
func TestU17UIDsHaveOneSpelling(t *testing.T) {
	owner := shared.as(t, alice)
	f := owner.put("u17", []byte("abc"))
	own := f.UID.String()
	for _, spelling := range []string{"0" + own, "+" + own, own + ".0", "-5", "007", "0", "0x10", "１２", own + "%20", "9" + own} {
		for _, p := range []string{"/v1/files/", "/v1/uploads/"} {
			if ans := owner.get(p + spelling); ans.Status != http.StatusBadRequest && ans.Status != http.StatusNotFound || strings.Contains(string(ans.Body), "u17") {
				t.Errorf("%s%s: %d %s", p, spelling, ans.Status, ans.Body)
			}
		}
	}
	owner.refused(owner.get("/v1/files/0"+own), protocol.KindBadUID)
}

// A body was read whole before anything was looked at.
func TestU18RefusedBeforeTheBody(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	l := owner.link(toPut("u18"))
	u := owner.begin("u18", 3)
	part := "PUT /v1/uploads/" + u.UID.String() + "/parts/1"
	for _, c := range []struct {
		what, request, header string
		// waits: its header alone shows it, so that who asks first sends no body.
		waits bool
	}{
		{"no token", part, "", true},
		{"a wrong token", part, "Authorization: Bearer osp_none", true},
		{"another's", part, "Authorization: Bearer " + shared.tokens[bob], false},
		{"no link", "PUT /l/" + l.Token[:len(l.Token)-1], "", true},
		{"a wrong length", part, "Authorization: Bearer " + shared.tokens[alice], false},
		{"beyond a quota", "PUT /l/" + shared.as(t, small).link(toPut("u18")).Token, "", false},
		{"too much at all", "POST /v1/files?name=u18", "Authorization: Bearer " + shared.tokens[alice], true},
	} {
		if ans := stranger.announces(c.request, c.header, 100<<20, make([]byte, 16<<10)); ans.StatusCode < 400 || ans.StatusCode >= 500 {
			t.Errorf("%s: %s", c.what, ans.Status)
		}
		if !c.waits {
			continue
		}
		if ans := stranger.announces(c.request, c.header+"\nExpect: 100-continue", 100<<20, nil); ans.StatusCode < 400 || ans.StatusCode >= 500 {
			t.Errorf("%s, of who waits with the body: %s", c.what, ans.Status)
		}
	}
}

// The same sum twice in one request made two rows, and one answer.
func TestU19SameContentTwiceInOneRequest(t *testing.T) {
	owner := shared.as(t, alice)
	content := "the same content, twice"
	owner.put("u19", []byte(content))
	fp, err := protocol.FingerprintReader(strings.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	item := protocol.ProbeItem{Size: int64(len(content)), Fingerprint: fp}
	probed := into[protocol.Probed](owner, owner.post("/v1/uploads/probe", protocol.Probe{Items: []protocol.ProbeItem{item, item}}), http.StatusOK)
	if len(probed.Items) != 2 || !probed.Items[0].Maybe || !probed.Items[1].Maybe {
		t.Errorf("told %+v", probed)
	}
}

// A large file was found for an instant upload only once a job had merged it.
func TestU21LargeFileIsKnownAtOnce(t *testing.T) {
	owner := shared.as(t, alice)
	content := harness.Content(21, protocol.MinPartSize+1000)
	f := owner.putParts("u21", content)
	fp, err := protocol.FingerprintReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	u := into[protocol.Upload](owner, owner.post("/v1/uploads", map[string]any{"name": "u21/again", "size": len(content), "fingerprint": fp}), http.StatusCreated)
	if !u.Maybe {
		t.Fatal("it is not known")
	}
	claim := "/v1/uploads/" + u.UID.String() + "/claim"
	ch := into[protocol.Challenge](owner, owner.post(claim, map[string]any{"digest": f.Digest}), http.StatusOK)
	nonce, err := protocol.ParseNonce(ch.Nonce)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := protocol.Proof(nonce, u.UID, int64(len(content)), *f.Digest, ch.Ranges, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	owner.want(owner.post(claim, map[string]any{"nonce": ch.Nonce, "proof": fmt.Sprintf("%x", proof)}), http.StatusOK)
	owner.holds(contentOf(u.UID), content)
}
