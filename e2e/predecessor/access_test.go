package predecessor

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// No route asked who calls, and uids could be guessed.
func TestA04EveryRouteAsksWhoCalls(t *testing.T) {
	stranger := shared.stranger(t)
	public := []string{"/v1/capabilities", "/healthz", "/readyz", "/openapi.json", "/docs", "/docs/", "/swagger/index.html"}
	fill := strings.NewReplacer("{uid}", "1234567890123456", "{number}", "1", "{id}", "0123456789ab", "{token}", "AQEBAQEB")
	for _, r := range protocol.Routes() {
		if slices.Contains(public, r.Path) || strings.HasPrefix(r.Path, "/docs/") {
			continue
		}
		ans := stranger.do(r.Method, fill.Replace(r.Path), []byte(`{}`))
		// A link that is none is 403, since it is no matter of a token.
		if want := ans.Status == http.StatusUnauthorized || strings.HasPrefix(r.Path, "/l/") && ans.Status == http.StatusForbidden; !want {
			t.Errorf("%s %s without a token: %d %s", r.Method, r.Path, ans.Status, ans.Body)
		}
	}
	f := shared.as(t, alice).put("a04", []byte("alice's"))
	other := shared.as(t, bob)
	for _, p := range []string{"/v1/files/" + f.UID.String(), contentOf(f.UID), "/v1/files/" + f.UID.String() + "/blocks", "/v1/uploads/" + f.UID.String()} {
		other.refused(other.get(p), protocol.KindNotFound)
	}
	ans := other.post("/v1/links", protocol.CreateLinks{Links: []protocol.NewLink{toGet(f.UID)}})
	other.refused(ans, protocol.KindNotFound)
	other.refused(other.do(http.MethodDelete, "/v1/files/"+f.UID.String(), nil), protocol.KindNotFound)
	shared.as(t, alice).holds(contentOf(f.UID), []byte("alice's"))
}

// An MD5 alone made anybody's content one's own.
func TestA07SumAloneGivesNothing(t *testing.T) {
	content := bytes.Repeat([]byte("secret content "), 1000)
	owner, other := shared.as(t, alice), shared.as(t, bob)
	known := owner.put("a07", content)
	fp, err := protocol.FingerprintReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	begin := map[string]any{"name": "a07/again", "size": len(content), "fingerprint": fp}
	// Another owner is not told that it is there, and cannot claim it.
	u := into[protocol.Upload](other, other.post("/v1/uploads", begin), http.StatusCreated)
	if u.Maybe {
		t.Error("another owner is told that the content is there")
	}
	claim := "/v1/uploads/" + u.UID.String() + "/claim"
	other.refused(other.post(claim, map[string]any{"digest": known.Digest}), protocol.KindClaimRefused)
	// Nor does the same owner get it without the bytes.
	u = into[protocol.Upload](owner, owner.post("/v1/uploads", begin), http.StatusCreated)
	claim = "/v1/uploads/" + u.UID.String() + "/claim"
	ch := into[protocol.Challenge](owner, owner.post(claim, map[string]any{"digest": known.Digest}), http.StatusOK)
	owner.refused(owner.post(claim, map[string]any{"nonce": ch.Nonce, "proof": strings.Repeat("0", 64)}), protocol.KindClaimRefused)
	owner.refused(owner.get(contentOf(u.UID)), protocol.KindNotFound)
}

// It logged whole queries, and so every signature.
func TestA17LogHoldsNoSecret(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	f := owner.put("a17", []byte("abc"))
	get, put := owner.link(toGet(f.UID)), owner.link(toPut("a17/new"))
	stranger.want(stranger.get("/l/"+get.Token), http.StatusOK)
	stranger.get("/l/" + get.Token + "?name=x")
	stranger.get("/l/" + put.Token)
	stranger.get("/l/" + get.Token + "/")
	stranger.do(http.MethodPut, "/l/"+put.Token, []byte("abc"))
	stranger.with(put).commit(put.UID)
	owner.get("/v1/files?token=" + get.Token)
	stranger.get("/v1/files", "Authorization", "Bearer "+get.Token)
	stranger.get("/v1/files", "Authorization", "Bearer "+shared.tokens[bob]+"x")
	log := shared.log.String()
	for what, secret := range map[string]string{
		"a link to get": get.Token, "a link to put": put.Token, "a token": shared.tokens[alice], "a wrong token": shared.tokens[bob],
	} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %s", what)
		}
	}
	if !strings.Contains(log, "get_link") {
		t.Error("the requests are not in the log")
	}
}

// Ids that callers gave went into the log as they were.
func TestA19RequestIDsAreChecked(t *testing.T) {
	stranger := shared.stranger(t)
	for _, id := range []string{strings.Repeat("a", 65), strings.Repeat("b", 10_000), "canary forged level=ERROR", "canary\tforged", `canary"forged`, "canary-märz"} {
		ans := stranger.want(stranger.get("/healthz", protocol.HeaderRequestID, id), http.StatusOK)
		if got := ans.Header.Get(protocol.HeaderRequestID); got == id || got == "" {
			t.Errorf("%.80q is answered with %.80q", id, got)
		}
	}
	stranger.refused(stranger.get("/healthz", protocol.HeaderRequestID, strings.Repeat("c", 1<<20)), protocol.KindHeadersTooLarge)
	if log := shared.log.String(); strings.Contains(log, "canary") || strings.Contains(log, strings.Repeat("b", 100)) {
		t.Error("such an id is in the log")
	}
	ans := stranger.want(stranger.get("/healthz", protocol.HeaderRequestID, "mine-1.a_B"), http.StatusOK)
	if got := ans.Header.Get(protocol.HeaderRequestID); got != "mine-1.a_B" {
		t.Errorf("a good one is answered with %q", got)
	}
}

// Public routes wrote to its database, and told node and files.
func TestA20PublicRoutesTellNothing(t *testing.T) {
	stranger := shared.stranger(t)
	f := shared.as(t, alice).put("a20-canary", []byte("abc"))
	for _, p := range []string{"/healthz", "/readyz", "/v1/capabilities"} {
		ans := stranger.want(stranger.get(p), http.StatusOK)
		for _, told := range []string{"a20-canary", f.UID.String(), "alice", shared.dir, "127.0.0.1"} {
			if strings.Contains(string(ans.Body), told) {
				t.Errorf("%s tells %q", p, told)
			}
		}
		if again := stranger.get(p); !bytes.Equal(again.Body, ans.Body) {
			t.Errorf("%s changes by being asked: %s, %s", p, ans.Body, again.Body)
		}
	}
	for _, p := range []string{"/metrics", "/debug/pprof/", "/ping", "/health", "/proxy?uid=" + f.UID.String(), "/swagger/doc.json"} {
		if ans := stranger.get(p); ans.Status != http.StatusNotFound {
			t.Errorf("%s: %d %.200s", p, ans.Status, ans.Body)
		}
	}
}

// There was no limit to bodies, rates or what one may have.
func TestA24OwnersAndLinksAreBounded(t *testing.T) {
	owner, stranger := shared.as(t, small), shared.stranger(t)
	body := bytes.Repeat([]byte("x"), smallBytes+1)
	owner.refused(owner.do(http.MethodPost, "/v1/files?name=a24", body), protocol.KindQuotaExceeded)
	owner.refused(owner.post("/v1/uploads", map[string]any{"name": "a24", "size": len(body)}), protocol.KindQuotaExceeded)
	l := owner.link(toPut("a24"))
	stranger.refused(stranger.do(http.MethodPut, "/l/"+l.Token, body), protocol.KindQuotaExceeded)
	if list := into[protocol.FileList](owner, owner.get("/v1/files"), http.StatusOK); len(list.Files) != 0 {
		t.Errorf("there are %+v", list.Files)
	}
	large := bytes.Repeat([]byte("x"), protocol.OneShotMax+1)
	shared.as(t, alice).refused(shared.as(t, alice).do(http.MethodPost, "/v1/files?name=a24", large), protocol.KindTooLarge)
	most := int64(3)
	bounded := toPut("a24")
	bounded.MaxSize = &most
	l = shared.as(t, alice).link(bounded)
	stranger.refused(stranger.do(http.MethodPut, "/l/"+l.Token, []byte("four")), protocol.KindTooLarge)
	stranger.refused(stranger.with(l).post("/v1/uploads", map[string]any{"name": "a24", "size": 4}), protocol.KindTooLarge)
	// Who has a link fills no disk with it.
	rewritten := toPut("a24/again")
	rewritten.MaxSize = &most
	l = shared.as(t, alice).link(rewritten)
	with := stranger.with(l)
	with.want(with.post("/v1/uploads", map[string]any{"name": "a24/again", "size": 3}), http.StatusCreated)
	limited := false
	for n := 0; n < 100 && !limited; n++ {
		limited = with.part(l.UID, 1, fmt.Appendf(nil, "%03d", n)).Status == http.StatusTooManyRequests
	}
	if !limited {
		t.Error("a link's part is written for ever")
	}
}
