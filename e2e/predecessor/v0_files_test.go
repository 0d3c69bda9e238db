package predecessor

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// A foreign link with a known MD5 re-pointed the metadata of any uid, and no
// body was read.
func TestA05KnownMD5OfV0OpensNothing(t *testing.T) {
	owner := shared.as(t, alice)
	secret := []byte("bob's secret")
	shared.as(t, bob).heldV0("a05/secret.txt", secret)
	finished := owner.heldV0("a05.txt", []byte("finished"))
	l := owner.uploadV0("a05/new.txt")
	known := "&md5=" + md5Of(secret)
	owner.refusedV0(owner.sendV0(l.URL.Single, known, []byte("bob's secre?")), http.StatusUnprocessableEntity)
	owner.refusedV0(owner.sendV0(l.URL.Single, known, nil), http.StatusUnprocessableEntity)
	owner.refusedV0(owner.sendV0(changed(t, l.URL.Single, "uid", finished.String()), known, secret), http.StatusUnauthorized)
	owner.refused(owner.get(contentOf(uidOf(t, l.UID))), protocol.KindNotFound)
	owner.holds(contentOf(finished), []byte("finished"))
}

// Nor does a link whose owner has a file of the MD5: who has the link has not
// that file for it, and must send what it claims.
func TestA05KnownMD5OfV0StandsForNoBody(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	had := []byte("what alice has already")
	owner.heldV0("a05/had.txt", had)
	owner.heldV0("a05/nothing.txt", nil)
	l, other := owner.uploadV0("a05/again.txt"), []byte("what alice has alreadY")
	for _, sum := range []string{md5Of(had), strings.ToUpper(md5Of(had))} {
		stranger.refusedV0(stranger.sendV0(l.URL.Single, "&md5="+sum, other), http.StatusUnprocessableEntity)
		stranger.refusedV0(stranger.sendV0(l.URL.Single, "&md5="+sum, nil), http.StatusUnprocessableEntity)
	}
	stranger.refusedV0(stranger.do(http.MethodPut, l.URL.Single+"&md5="+md5Of(had), nil), http.StatusUnprocessableEntity)
	stranger.refusedV0(stranger.sendV0(l.URL.Single, "&md5="+md5Of(nil), other), http.StatusUnprocessableEntity)
	stranger.refusedV0(stranger.mergeV0(l, 1, len(had), md5Of(had)), http.StatusUnprocessableEntity)
	owner.refused(owner.get(contentOf(uidOf(t, l.UID))), protocol.KindNotFound)
	l = owner.uploadV0("a05/chunks.txt")
	stranger.refusedV0(stranger.chunkV0(l, "1", other, had), http.StatusUnprocessableEntity)
	stranger.want(stranger.chunkV0(l, "1", other[:9], other[:9]), http.StatusOK)
	stranger.want(stranger.chunkV0(l, "2", other[9:], other[9:]), http.StatusOK)
	stranger.refusedV0(stranger.mergeV0(l, 2, len(other), md5Of(had)), http.StatusUnprocessableEntity)
	owner.refused(owner.get(contentOf(uidOf(t, l.UID))), protocol.KindNotFound)
	stranger.want(stranger.mergeV0(l, 2, len(other), md5Of(other)), http.StatusOK)
	owner.holds(contentOf(uidOf(t, l.UID)), other)
}

// The link of an upload overwrote the finished file until it expired.
func TestA06LinkOfV0IsSpent(t *testing.T) {
	owner := shared.as(t, alice)
	l := owner.uploadV0("a06.txt")
	owner.want(owner.putV0(l, []byte("first")), http.StatusOK)
	owner.refusedV0(owner.putV0(l, []byte("other")), http.StatusUnprocessableEntity)
	owner.refusedV0(owner.sendV0(l.URL.Single, "&md5="+md5Of([]byte("first")), []byte("other")), http.StatusUnprocessableEntity)
	owner.holds(contentOf(uidOf(t, l.UID)), []byte("first"))
}

// Public routes wrote to its database, and told node and files.
func TestA20PublicRoutesOfV0TellNothing(t *testing.T) {
	stranger := shared.stranger(t)
	for route, want := range map[string]string{"/ping": "Test Router...", "/health": "Health..."} {
		for _, query := range []string{"", "?uid=1", "?x=%zz"} {
			if got := dataV0[string](stranger, stranger.get(v0+route+query)); got != want {
				t.Errorf("%s says %q", route, got)
			}
		}
	}
}

// There was no limit to what one may have.
func TestA24OwnersOfV0AreBounded(t *testing.T) {
	owner := shared.as(t, small)
	l := owner.uploadV0("a24.txt")
	ans := owner.putV0(l, bytes.Repeat([]byte("x"), smallBytes+1))
	if owner.refusedV0(ans, http.StatusUnprocessableEntity); strings.Contains(string(ans.Body), fmt.Sprint(smallBytes)) {
		t.Errorf("whoever has a link is told how much its owner may have: %s", ans.Body)
	}
	owner.refused(owner.get("/v1/files/"+l.UID), protocol.KindNotFound)
	var names []string
	for n := range 51 {
		names = append(names, fmt.Sprintf("a24/%d.txt", n))
	}
	owner.refusedV0(owner.post(v0+"/link/upload", map[string]any{"filePath": names, "expire": 60}), http.StatusUnprocessableEntity)
	var uids []string
	for n := range 201 {
		uids = append(uids, fmt.Sprint(1234567890123456+n))
	}
	owner.refusedV0(owner.post(v0+"/link/download", map[string]any{"uid": uids, "expire": 60}), http.StatusUnprocessableEntity)
}

// Links carried bucket and object.
func TestA25LinksOfV0TellNoPlace(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	one, two := owner.downloadV0(owner.heldV0("a25.txt", []byte("abc"))), owner.downloadV0(owner.heldV0("a25.txt", []byte("def")))
	for _, name := range []string{"bucket", "object"} {
		if a, b := parameter(t, one.URL, name), parameter(t, two.URL, name); a != b {
			t.Errorf("%s is %s, and %s", name, a, b)
		}
	}
	for _, l := range []downloadV0{one, two} {
		payload, err := base64.RawURLEncoding.DecodeString(parameter(t, l.URL, "signature"))
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range shared.keys(t) {
			if strings.Contains(l.URL, key) || bytes.Contains(payload, []byte(key)) || strings.Contains(l.Meta.DstName, key) {
				t.Errorf("the link holds the key %s", key)
			}
		}
		stranger.want(stranger.get(l.URL), http.StatusOK)
	}
	owner.want(owner.get(v0+"/proxy?uid="+one.UID), http.StatusOK)
	owner.get(v0 + "/proxy?uid=5")
}

// A file without bytes was answered 500.
func TestU06FilesOfFewBytesOfV0(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	for _, size := range []int{0, 1, 2, 1 << 20, 1<<20 + 1} {
		content := harness.Content(6, int64(size))
		d := owner.downloadV0(owner.heldV0("u06.bin", content))
		stranger.holds(d.URL, content)
		if d.Meta.Size != fmt.Sprint(size) {
			t.Errorf("%d bytes are said to be %s", size, d.Meta.Size)
		}
	}
}

// Each upload that failed left open files behind.
func TestU08FailedUploadsOfV0LeaveNoDescriptors(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	content := []byte("abcdefghij")
	whole, contentType := form(t, content)
	wrong := "&md5=" + md5Of([]byte("another"))
	fail := func(n int) {
		t.Helper()
		for range n {
			l := owner.uploadV0("u08.txt") // one may fail a few times only
			owner.refusedV0(owner.sendV0(l.URL.Single, wrong, content), http.StatusUnprocessableEntity)
			owner.refusedV0(owner.sendV0(l.URL.Multi.Upload, "&chunkNum=1"+wrong, content), http.StatusUnprocessableEntity)
			// Cut off in the middle of the file, one that is held and one that is not.
			for _, path := range []string{l.URL.Single, l.URL.Multi.Upload + "&chunkNum=1"} {
				for _, length := range []int{len(whole), 8 << 20} {
					if got := stranger.cutOff(path+"&md5="+md5Of(content), contentType, length, whole[:bytes.Index(whole, content)+5]); got != http.StatusUnprocessableEntity {
						t.Errorf("cut off it is answered %d", got)
					}
				}
			}
			owner.refusedV0(owner.sendV0(l.URL.Single, "&md5=x", []byte("abc")), http.StatusUnprocessableEntity)
			owner.refusedV0(owner.sendV0(changed(t, l.URL.Single, "uid", "5"), "&md5="+md5Of(nil), []byte("abc")), http.StatusUnauthorized)
			body, _ := form(t, []byte("abc"))
			owner.refusedV0(stranger.do(http.MethodPut, l.URL.Single+"&md5="+md5Of(nil), body), http.StatusUnprocessableEntity)
			// What was sent until it was cut off may be gone on with for a while, and is
			// open until then.
			owner.want(owner.do(http.MethodDelete, "/v1/uploads/"+l.UID, nil), http.StatusNoContent)
		}
	}
	fail(5)
	before := descriptors(t)
	fail(failingUploads / 3)
	// The database may have opened a few connections more, of two files each.
	harness.Eventually(t, "no descriptor stays behind", func() bool { return descriptors(t) <= before+16 })
}

// A file that was stored was answered 500 where cleaning up failed.
func TestU10AcknowledgedPutOfV0MayBeRepeated(t *testing.T) {
	owner := shared.as(t, alice)
	for _, size := range []int{0, 5, 3 << 20} {
		content := harness.Content(10, int64(size))
		l := owner.uploadV0("u10.bin")
		for range 3 {
			owner.want(owner.putV0(l, content), http.StatusOK)
		}
		owner.holds(contentOf(uidOf(t, l.UID)), content)
	}
}

// Each link that was made left a folder and rows, used or not.
func TestU15LinksOfV0NotUsedLeaveNothing(t *testing.T) {
	own := newSite(t)
	owner := own.as(t, alice)
	before := own.kept(t)
	for n := range 10 {
		owner.uploadV0(fmt.Sprintf("u15/%d.txt", n))
	}
	owner.refusedV0(owner.post(v0+"/link/upload", map[string]any{"filePath": []string{"good.txt", "bad"}, "expire": 60}), http.StatusUnprocessableEntity)
	if after := own.kept(t); after != before {
		t.Errorf("there was\n%sand is\n%s", before, after)
	}
	if list := into[protocol.UploadList](owner, owner.get("/v1/uploads"), http.StatusOK); len(list.Uploads) != 0 {
		t.Errorf("there are %+v", list)
	}
}

// Extensions were neither checked nor bounded.
func TestU16NamesOfV0AreChecked(t *testing.T) {
	owner := shared.as(t, alice)
	for _, name := range []string{"a\x00.txt", "a\n.txt", "a\u202e.txt", "x." + strings.Repeat("e", 4096), "noextension", "", ".", "..", "x/..", "x.", strings.Repeat("n", 300) + ".txt"} {
		owner.refusedV0(owner.post(v0+"/link/upload", map[string]any{"filePath": []string{name}, "expire": 60}), http.StatusUnprocessableEntity)
	}
	// Only the last part counts, however a client writes what is before it.
	for path, want := range map[string]string{"../../etc/passwd.txt": "passwd.txt", `C:\temp\..\a.txt`: "a.txt", "/srv/.x.gz": ".x.gz"} {
		uid := uidOf(t, owner.uploadV0(path).UID)
		l := owner.uploadV0(path)
		owner.want(owner.putV0(l, []byte("abc")), http.StatusOK)
		if got := owner.downloadV0(uidOf(t, l.UID)).Meta.SrcName; got != want || l.UID == uid.String() {
			t.Errorf("%q is put as %q", path, got)
		}
	}
}

// +5 and 007 were uids too.
func TestU17UIDsOfV0HaveOneSpelling(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	uid := owner.heldV0("u17.txt", []byte("abc")).String()
	link := owner.downloadV0(uidOf(t, uid)).URL
	for _, spelling := range []string{"0" + uid, "+" + uid, " " + uid, uid + ".0", "-5", "0", "１２", uid + "\n"} {
		stranger.refusedV0(stranger.get(changed(t, link, "uid", spelling)), http.StatusUnauthorized)
		owner.refusedV0(owner.post(v0+"/link/download", map[string]any{"uid": []string{spelling}, "expire": 60}), http.StatusUnprocessableEntity)
	}
}

// A form was read whole before anything was looked at.
func TestU18FormsOfV0AreRefusedBeforeTheBody(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	link := owner.uploadV0("u18.bin").URL.Single
	good := "&md5=" + md5Of(nil)
	head := "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n"
	for what, c := range map[string]struct {
		link, contentType string
		status            int
	}{
		"a changed signature": {changed(t, link, "signature", "x") + good, "multipart/form-data; boundary=b", http.StatusUnauthorized},
		"another's uid":       {changed(t, link, "uid", "5") + good, "multipart/form-data; boundary=b", http.StatusUnauthorized},
		"no md5":              {link, "multipart/form-data; boundary=b", http.StatusUnprocessableEntity},
		"no form":             {link + good, "application/octet-stream", http.StatusUnprocessableEntity},
		"beyond the quota":    {shared.as(t, small).uploadV0("u18.bin").URL.Single + good, "multipart/form-data; boundary=b", http.StatusUnprocessableEntity},
	} {
		body := append([]byte(head), make([]byte, 128<<10)...)
		if ans := stranger.announces("PUT "+c.link, "Content-Type: "+c.contentType, 1<<30, body); ans.StatusCode != c.status {
			t.Errorf("%s: %s", what, ans.Status)
		}
	}
}

// One unknown uid in a list hung the request for ever, and was given a link to
// the file 0.
func TestD15UnknownUIDsOfV0AreLeftOut(t *testing.T) {
	owner := shared.as(t, alice)
	known := owner.heldV0("d15.txt", []byte("abc")).String()
	others := shared.as(t, bob).heldV0("d15.txt", []byte("abc")).String()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	body := fmt.Appendf(nil, `{"uid": ["5", "%s", "1234567890123456", "%s", "%s", "6"], "expire": 60}`, known, others, known)
	ans := owner.api.DoContext(ctx, http.MethodPost, v0+"/link/download", bytes.NewReader(body), int64(len(body)), "Authorization", owner.authorization)
	var got []string
	for _, d := range dataV0[[]downloadV0](owner, ans) {
		got = append(got, d.UID)
	}
	if !slices.Equal(got, []string{known}) {
		t.Errorf("given %q, want %s", got, known)
	}
}

// A link was kept for five minutes, and given again when it had ended.
func TestD17EachLinkOfV0LivesFromItsOwnSigning(t *testing.T) {
	owner := shared.as(t, alice)
	uid := owner.heldV0("d17.txt", []byte("abc"))
	first := parameter(t, owner.downloadV0(uid).URL, "date")
	harness.Eventually(t, "a link signed later begins later", func() bool { return parameter(t, owner.downloadV0(uid).URL, "date") > first })
}

// Links of unfinished uploads were given, and gave rubbish.
func TestD18UnfinishedIsLeftOutOfV0(t *testing.T) {
	owner := shared.as(t, alice)
	l := owner.uploadV0("d18.txt")
	u := owner.begin("d18.txt", 3)
	owner.want(owner.part(u.UID, 1, []byte("abc")), http.StatusOK)
	got := dataV0[[]downloadV0](owner, owner.post(v0+"/link/download", map[string]any{"uid": []string{l.UID, u.UID.String()}, "expire": 60}))
	if len(got) != 0 {
		t.Errorf("given %+v", got)
	}
}

// Two uploads of one file at once ended the whole daemon.
func TestS01RacingUploadsOfV0EndNothing(t *testing.T) {
	owner := shared.as(t, alice)
	l := owner.uploadV0("s01.bin")
	content := harness.Content(1, 50_000)
	for _, ans := range atOnce(8, func(int) harness.Answer { return owner.putV0(l, content) }) {
		owner.want(ans, http.StatusOK)
	}
	owner.want(owner.putV0(l, content), http.StatusOK)
	owner.holds(contentOf(uidOf(t, l.UID)), content)
}

// Nor do two of different files: at most one is the file, whole, and the others are
// told that theirs is not. None is where each took back what another had sent
// before it; the next to come has the link then.
func TestS01RacingFilesOfV0HaveOneWinner(t *testing.T) {
	owner := shared.as(t, alice)
	contents := make([][]byte, 8)
	for i := range contents {
		contents[i] = harness.Content(uint64(1000+i), int64(50_000+i/2)) // two of each length
	}
	for range 5 {
		l, won := owner.uploadV0("s01.bin"), []int(nil)
		for i, ans := range atOnce(len(contents), func(i int) harness.Answer { return owner.putV0(l, contents[i]) }) {
			switch {
			case ans.Status == http.StatusOK:
				won = append(won, i)
			case ans.Status == http.StatusInternalServerError && ans.Header.Get("Retry-After") != "":
			default:
				owner.refusedV0(ans, http.StatusUnprocessableEntity)
			}
		}
		if len(won) == 0 {
			owner.want(owner.putV0(l, contents[0]), http.StatusOK)
			won = []int{0}
		}
		if len(won) != 1 {
			t.Fatalf("%v are the file", won)
		}
		for i, content := range contents {
			if i != won[0] {
				owner.refusedV0(owner.putV0(l, content), http.StatusUnprocessableEntity)
			}
		}
		owner.want(owner.putV0(l, contents[won[0]]), http.StatusOK)
		owner.holds(contentOf(uidOf(t, l.UID)), contents[won[0]])
	}
}

// Height and width were there and never filled.
func TestS13ImagesHaveTheirSize(t *testing.T) {
	owner := shared.as(t, alice)
	// A picture of 3 by 2, as small as its format has it.
	picture, err := base64.StdEncoding.DecodeString("R0lGODdhAwACAIAAAP///////ywAAAAAAwACAAACAoRdADs=")
	if err != nil {
		t.Fatal(err)
	}
	uid := owner.heldV0("s13.gif", picture)
	// It is told by the digest job, as the MD5 is.
	harness.Eventually(t, "width and height", func() bool {
		m := owner.downloadV0(uid).Meta
		return m.Width == 3 && m.Height == 2 && m.MD5 == md5Of(picture)
	})
	if m := owner.downloadV0(owner.heldV0("s13.txt", []byte("no picture"))).Meta; m.Width != 0 || m.Height != 0 {
		t.Errorf("a text is %d by %d", m.Width, m.Height)
	}
}
