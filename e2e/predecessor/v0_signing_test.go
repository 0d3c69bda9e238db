package predecessor

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// It signed with a key that stands in its source.
func TestA01SignaturesOfV0AreOfTheDaemonsKey(t *testing.T) {
	other := newSite(t)
	owner := shared.as(t, alice)
	link := owner.downloadV0(owner.heldV0("a01.txt", []byte("abc")))
	other.as(t, alice).uploadV0("a01.txt") // so that it has a key, of the same number
	stranger := other.stranger(t)
	stranger.refusedV0(stranger.get(link.URL), http.StatusUnauthorized)
	shared.stranger(t).holds(link.URL, []byte("abc"))
}

// Its signature of an upload covered the date alone: one link wrote any uid.
func TestA02SignatureOfV0WritesItsOwnUIDOnly(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	one, two := owner.uploadV0("a02/one.txt"), owner.uploadV0("a02/two.txt")
	more := "&md5=" + md5Of([]byte("one")) + "&chunkNum=1&num=1&size=3"
	for i, link := range one.all() {
		owner.refusedV0(owner.sendV0(changed(t, link, "uid", two.UID), more, []byte("one")), http.StatusUnauthorized)
		// Nor with the other's times and the one's signature, or the other way round.
		owner.refusedV0(owner.sendV0(changed(t, two.all()[i], "signature", parameter(t, link, "signature")), more, []byte("one")), http.StatusUnauthorized)
	}
	owner.want(owner.putV0(two, []byte("two")), http.StatusOK)
	stranger.holds(owner.downloadV0(uidOf(t, two.UID)).URL, []byte("two"))
	owner.refused(owner.get(contentOf(uidOf(t, one.UID))), protocol.KindNotFound)
}

// Its download loaded what the unsigned uid of the query named.
func TestA03SignatureOfV0ReadsItsOwnUIDOnly(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	one, two := owner.heldV0("a03/one.txt", []byte("one")), owner.heldV0("a03/two.txt", []byte("two"))
	link, other := owner.downloadV0(one).URL, owner.downloadV0(two).URL
	for name, value := range map[string]string{
		"uid": two.String(), "signature": parameter(t, other, "signature"), "date": "2026-01-01T00:00:00Z", "expire": "601",
	} {
		stranger.refusedV0(stranger.get(changed(t, link, name, value)), http.StatusUnauthorized)
		// Beside the right one it is in doubt which is meant.
		stranger.refusedV0(stranger.get(link+"&"+name+"="+url.QueryEscape(value)), http.StatusUnprocessableEntity)
	}
	// What says nothing opens nothing.
	for _, name := range []string{"bucket", "object", "name", "md5"} {
		stranger.holds(changed(t, link, name, "x"), []byte("one"))
		stranger.holds(changed(t, link, name, ""), []byte("one"))
	}
}

// TestSignaturesOfV0 is the corpus of links over v0: every byte flipped, another
// method, tricks with the path, ended, not begun, another uid, another action, a
// key that retired, and one that was revoked.
func TestSignaturesOfV0(t *testing.T) {
	s := newSite(t)
	owner, stranger := s.as(t, alice), s.stranger(t)
	uid := owner.heldV0("corpus.txt", []byte("abc"))
	get, put := owner.downloadV0(uid).URL, owner.uploadV0("corpus.txt")
	stranger.holds(get, []byte("abc"))
	none := func(what string, ans harness.Answer, statuses ...int) {
		t.Helper()
		for _, status := range statuses {
			if ans.Status == status && isV0(ans) {
				return
			}
		}
		t.Errorf("%s: %d %.200s", what, ans.Status, ans.Body)
	}
	signature := parameter(t, get, "signature")
	for i := range signature {
		flipped := []byte(signature)
		flipped[i] ^= 1 << (i % 6)
		none(fmt.Sprintf("byte %d", i), stranger.get(changed(t, get, "signature", string(flipped))), http.StatusUnauthorized)
	}
	for _, cut := range []string{signature[:len(signature)-1], signature + "A", signature + "=", signature + "\n", " " + signature, signature[:40], "x"} {
		none("cut "+cut, stranger.get(changed(t, get, "signature", cut)), http.StatusUnauthorized)
	}
	for _, name := range []string{"uid", "date", "expire", "signature"} {
		none("no "+name, stranger.get(changed(t, get, name, "")), http.StatusUnprocessableEntity)
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch} {
		none(method, stranger.do(method, get, nil), http.StatusNotFound)
	}
	_, query, _ := strings.Cut(get, "?")
	for _, path := range []string{"//download", "/./download", "/x/../download", "/%64ownload", "/download/", "/DOWNLOAD", "/download%00", "/upload/../download"} {
		none(path, stranger.get(v0+path+"?"+query), http.StatusNotFound, http.StatusUnprocessableEntity)
	}
	// One to put opens nothing to get, and the other way round.
	_, putQuery, _ := strings.Cut(put.URL.Single, "?")
	none("a link to put gets", stranger.get(v0+"/download?"+putQuery), http.StatusUnauthorized)
	body, contentType := form(t, []byte("abc"))
	for _, route := range []string{"/upload", "/upload/multi", "/upload/merge"} {
		more := "&md5=" + md5Of([]byte("abc")) + "&chunkNum=1&num=1&size=3"
		none("a link to get puts", stranger.do(http.MethodPut, v0+route+"?"+query+more, body, "Content-Type", contentType), http.StatusUnauthorized)
	}
	// Links of v1 are grants too, and good for what they are for; their times are
	// those of the query.
	later, minute := protocol.TimeOf(time.Now().Add(time.Hour).Truncate(time.Second)), toGet(uid)
	minute.NotBefore, minute.ExpiresAt = &later, new(protocol.TimeOf(later.Add(time.Minute)))
	none("not begun", stranger.get(ofV1(owner.link(minute))), http.StatusUnauthorized)
	second := toGet(uid)
	second.ExpiresIn = new(int64(1))
	ending := ofV1(owner.link(second))
	harness.Eventually(t, "it ends", func() bool { return stranger.get(ending).Status == http.StatusUnauthorized })

	owner.want(owner.do(http.MethodDelete, "/v1/links?uid="+uid.String(), nil), http.StatusNoContent)
	none("revoked", stranger.get(get), http.StatusUnauthorized)
	again := owner.downloadV0(uid).URL
	stranger.holds(again, []byte("abc"))
	s.retireKeys(t)
	owner, stranger = s.as(t, alice), s.stranger(t)
	none("to get, of a key that retired", stranger.get(again), http.StatusUnauthorized)
	none("to put, of a key that retired", owner.putV0(put, []byte("abc")), http.StatusUnauthorized)
	stranger.holds(owner.downloadV0(uid).URL, []byte("abc"))
}

// ofV1 is v0's address for a link of v1.
func ofV1(l protocol.Link) string {
	date := l.ExpiresAt.Add(-time.Minute).UTC().Format("2006-01-02T15:04:05Z")
	return v0 + "/download?" + url.Values{"uid": {l.UID.String()}, "date": {date}, "expire": {"60"}, "signature": {l.Token}}.Encode()
}

// No route asked who calls: links were signed for everybody.
func TestA04RoutesOfV0AskWhoCalls(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	uid := owner.heldV0("a04.txt", []byte("abc"))
	unknown, bare := stranger, stranger
	unknown.authorization, bare.authorization = "Bearer "+unknownSecret(t, shared.tokens[alice]), shared.tokens[alice]
	content := []byte("abc")
	for _, c := range []caller{stranger, unknown, bare} {
		for _, ask := range []harness.Answer{
			c.get(v0 + "/checkpoint?uid=" + uid.String()),
			c.post(v0+"/resume", map[string]any{"data": []map[string]string{{"md5": md5Of(content), "path": "a.txt"}}}),
			c.post(v0+"/link/upload", map[string]any{"filePath": []string{"a.txt"}, "expire": 60}),
			c.post(v0+"/link/download", map[string]any{"uid": []string{uid.String()}, "expire": 60}),
			c.get(v0 + "/proxy?uid=" + uid.String()),
		} {
			c.refusedV0(ask, http.StatusUnauthorized)
		}
	}
	// What a proxy says of an address is not believed.
	ans := stranger.do(http.MethodGet, v0+"/proxy?uid="+uid.String(), nil, "X-Forwarded-For", "127.0.0.1", "X-Real-Ip", "127.0.0.1", "Forwarded", "for=127.0.0.1")
	stranger.refusedV0(ans, http.StatusUnauthorized)
	// Another owner is told nothing.
	other := shared.as(t, bob)
	other.refusedV0(other.get(v0+"/proxy?uid="+uid.String()), http.StatusNotFound)
	if got := dataV0[[]downloadV0](other, other.post(v0+"/link/download", map[string]any{"uid": []string{uid.String()}, "expire": 60})); len(got) != 0 {
		t.Errorf("another owner is given %+v", got)
	}
}

// unknownSecret is a token that differs from one that is good in its last letter.
func unknownSecret(t *testing.T, secret string) string {
	t.Helper()
	end := "A"
	if strings.HasSuffix(secret, end) {
		end = "B"
	}
	return secret[:len(secret)-1] + end
}

// The name, and whether a browser shows it, came from the query.
func TestA10NameOfV0IsNotTheQuerys(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	link := owner.downloadV0(owner.heldV0("a10.txt", []byte("<script>alert(1)</script>"))).URL
	for _, name := range []string{"evil.html", "a\r\nSet-Cookie: x=y", "../../etc/passwd"} {
		ans := stranger.want(stranger.get(changed(t, link, "name", name)+"&online=1"), http.StatusOK)
		if got := savedAs(t, ans); got != "a10.txt" || ans.Header.Get("Set-Cookie") != "" {
			t.Errorf("it is saved as %q: %v", got, ans.Header)
		}
	}
}

// It served what it sniffed, pages among it, inline on its own origin.
func TestA11NothingOfV0RunsOnTheOrigin(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	held := map[string]protocol.UID{}
	for name, content := range map[string]string{
		"page.html": "<html><script>alert(1)</script></html>", "image.svg": `<svg xmlns="http://www.w3.org/2000/svg"/>`, "data.xml": `<?xml version="1.0"?><a/>`, "code.js": "alert(1)",
		"image.png": "<html><script>alert(1)</script></html>",
	} {
		held[name] = owner.heldV0(name, []byte(content))
	}
	for name, uid := range held {
		// Until a job has looked into it, it is shown as nothing at all.
		harness.Eventually(t, "its type is known", func() bool {
			return into[protocol.File](owner, owner.get("/v1/files/"+uid.String()), http.StatusOK).MediaType != nil
		})
		link := owner.downloadV0(uid).URL
		for _, online := range []string{"", "&online=0", "&online=1"} {
			safe(t, name+online, stranger.want(stranger.get(link+online), http.StatusOK))
		}
	}
}

// File names went into the link raw, and into the header unquoted.
func TestA13LinksOfV0OfAnyNameParseBack(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	for _, name := range names() {
		if !strings.Contains(name[1:], ".") {
			continue // v0 refuses a name without an extension
		}
		base := name[strings.LastIndex(name, "/")+1:]
		l := owner.uploadV0(name)
		if l.Path != name {
			t.Errorf("%q is answered as %q", name, l.Path)
		}
		owner.want(owner.putV0(l, []byte("abc")), http.StatusOK)
		d := owner.downloadV0(uidOf(t, l.UID))
		if got := parameter(t, d.URL, "name"); got != base || d.Meta.SrcName != base || parameter(t, d.URL, "uid") != l.UID {
			t.Errorf("%q is said to be %q, and in the link %s", base, d.Meta.SrcName, d.URL)
		}
		if got := savedAs(t, stranger.want(stranger.get(d.URL), http.StatusOK)); got != base {
			t.Errorf("%q is saved as %q", base, got)
		}
	}
}

// Callers chose any end, negative ones and years ahead.
func TestA14EndsOfV0AreBounded(t *testing.T) {
	owner := shared.as(t, alice)
	uid := owner.heldV0("a14.txt", []byte("abc"))
	for _, route := range []string{"/link/upload", "/link/download"} {
		for _, expire := range []string{"0", "-1", "-9223372036854775808", `"60"`, "1.5", "null", "{}"} {
			body := fmt.Sprintf(`{"filePath": ["a.txt"], "uid": ["%s"], "expire": %s}`, uid, expire)
			owner.refusedV0(owner.do(http.MethodPost, v0+route, []byte(body)), http.StatusUnprocessableEntity)
		}
	}
	for _, expire := range []string{"604801", "3153600000", "9223372036854775807", "1e30"} { // what is too long is cut
		ans := owner.do(http.MethodPost, v0+"/link/download", fmt.Appendf(nil, `{"uid": ["%s"], "expire": %s}`, uid, expire))
		if got := parameter(t, dataV0[[]downloadV0](owner, ans)[0].URL, "expire"); got != "604800" {
			t.Errorf("asked for %s seconds it gives %s", expire, got)
		}
	}
}

// It stamped the local time with the letter of UTC.
func TestA15DatesOfV0AreUTC(t *testing.T) {
	east := harness.StartDaemon(t, program(t, "ospd-east"), t.TempDir())
	c := caller{t: t, api: east.API(), s: &site{url: east.URL}}
	token := into[protocol.CreatedToken](c, c.post("/v1/tokens", map[string]any{"owner": "a", "scopes": protocol.AllScopes()}), http.StatusCreated)
	c.authorization = "Bearer " + token.Secret
	before := time.Now().Truncate(time.Second)
	l := c.uploadV0("a15.txt")
	date, err := time.Parse("2006-01-02T15:04:05Z", parameter(t, l.URL.Single, "date"))
	if err != nil || date.Before(before) || date.After(time.Now()) {
		t.Errorf("signed at %s it says %s, %v", before.UTC(), date, err)
	}
	c.want(c.putV0(l, []byte("abc")), http.StatusOK)
	c.holds(c.downloadV0(uidOf(t, l.UID)).URL, []byte("abc"))
	if exit := east.Stop(); exit != 0 {
		t.Errorf("it left with %d: %s", exit, east.Stderr())
	}
}

// It logged whole queries, and so every signature.
func TestA17LogHoldsNoSignatureOfV0(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	put := owner.uploadV0("a17.txt")
	owner.want(owner.putV0(put, []byte("abc")), http.StatusOK)
	owner.putV0(put, []byte("other"))
	get := owner.downloadV0(uidOf(t, put.UID)).URL
	stranger.want(stranger.get(get), http.StatusOK)
	stranger.get(changed(t, get, "uid", "5"))
	stranger.get(strings.Replace(get, "/download", "/nothing", 1))
	stranger.do(http.MethodDelete, get, nil)
	log := shared.log.String()
	for _, link := range []string{get, put.URL.Single} {
		if signature := parameter(t, link, "signature"); strings.Contains(log, signature) {
			t.Errorf("the log holds %s", signature)
		}
	}
	if !strings.Contains(log, "v0_download") {
		t.Error("the requests are not in the log")
	}
}
