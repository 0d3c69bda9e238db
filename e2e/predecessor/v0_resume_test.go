package predecessor

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

type resumedV0 struct {
	MD5 string `json:"md5"`
	UID string `json:"uid"`
}

// resumeV0 asks for files of these contents, by their MD5.
func (c caller) resumeV0(contents ...[]byte) []resumedV0 {
	c.t.Helper()
	var list []map[string]string
	for _, content := range contents {
		list = append(list, map[string]string{"md5": md5Of(content), "path": "again/" + md5Of(content) + ".bin"})
	}
	got := dataV0[[]resumedV0](c, c.post(v0+"/resume", map[string]any{"data": list}))
	if len(got) != len(contents) {
		c.t.Fatalf("asked for %d it answers %+v", len(contents), got)
	}
	for i, r := range got {
		if r.MD5 != md5Of(contents[i]) {
			c.t.Errorf("asked for %s it answers %+v", md5Of(contents[i]), r)
		}
	}
	return got
}

// An MD5 alone, without a token, made anybody's content one's own.
func TestA07MD5GivesOnlyWhatOneHas(t *testing.T) {
	secret := []byte("what bob alone has, and alice knows the MD5 of")
	owner, other := shared.as(t, alice), shared.as(t, bob)
	other.heldV0("a07.txt", secret)
	stranger := shared.stranger(t)
	ask := map[string]any{"data": []map[string]string{{"md5": md5Of(secret), "path": "a.txt"}}}
	stranger.refusedV0(stranger.post(v0+"/resume", ask), http.StatusUnauthorized)
	if got := owner.resumeV0(secret)[0]; got.UID != "" {
		t.Errorf("by the MD5 alone it is alice's too: %+v", got)
	}
	got := other.resumeV0(secret)[0]
	other.holds(contentOf(uidOf(t, got.UID)), secret)
	// What is deleted is nobody's to be given.
	gone := []byte("what alice had")
	uid := owner.heldV0("a07.txt", gone)
	owner.want(owner.do(http.MethodDelete, "/v1/files/"+uid.String(), nil), http.StatusNoContent)
	if got := owner.resumeV0(gone)[0]; got.UID != "" {
		t.Errorf("deleted, it is given again: %+v", got)
	}
}

// The same MD5 twice in one request made two rows, and one answer.
func TestU19SameMD5TwiceIsTwoFiles(t *testing.T) {
	owner := shared.as(t, alice)
	content, unknown := []byte("twice in one request"), []byte("never sent")
	first := owner.heldV0("u19.txt", content)
	got := owner.resumeV0(content, unknown, content)
	if got[1].UID != "" || got[0].UID == got[2].UID || got[0].UID == first.String() {
		t.Fatalf("given %+v", got)
	}
	for _, i := range []int{0, 2} {
		owner.holds(contentOf(uidOf(t, got[i].UID)), content)
	}
	// Each lives on its own.
	owner.want(owner.do(http.MethodDelete, "/v1/files/"+got[0].UID, nil), http.StatusNoContent)
	owner.holds(contentOf(uidOf(t, got[2].UID)), content)
	owner.holds(contentOf(first), content)
}

// An error of the clock made a file of uid 0.
func TestU20ResumedFilesHaveUIDsOfTheirOwn(t *testing.T) {
	owner := shared.as(t, alice)
	content := []byte("resumed over and over")
	seen := map[string]bool{owner.heldV0("u20.txt", content).String(): true}
	for range 10 {
		uid := owner.resumeV0(content)[0].UID
		if seen[uid] || uid == "" || uid == "0" {
			t.Errorf("given %q again", uid)
		}
		seen[uid] = true
	}
}

// A large file was found for an instant upload only once a job had merged it.
func TestU21LargeFileIsFoundByItsMD5AtOnce(t *testing.T) {
	owner := shared.as(t, alice)
	content := harness.Content(121, protocol.MinPartSize+4321)
	owner.heldV0("u21.bin", content)
	got := owner.resumeV0(content)[0]
	owner.holds(contentOf(uidOf(t, got.UID)), content)
	// One of v1 too, whose MD5 a job finds out, for which it waits.
	content = bytes.Repeat([]byte("of v1 "), 1000)
	owner.put("u21", content)
	owner.holds(contentOf(uidOf(t, owner.resumeV0(content)[0].UID)), content)
}
