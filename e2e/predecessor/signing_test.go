package predecessor

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// It signed with a key that stands in its source.
func TestA01KeyOfLinksIsEachDaemonsOwn(t *testing.T) {
	other := newSite(t)
	f := shared.as(t, alice).put("a01", []byte("one"))
	mine := shared.as(t, alice).link(toGet(f.UID))
	own := other.as(t, alice).link(toPut("a01"))
	stranger := other.stranger(t)
	stranger.refused(stranger.get("/l/"+mine.Token), protocol.KindForbidden)
	shared.stranger(t).refused(shared.stranger(t).do(http.MethodPut, "/l/"+own.Token, []byte("x")), protocol.KindForbidden)
	shared.stranger(t).holds("/l/"+mine.Token, []byte("one"))
}

// Its signature of an upload covered the date alone: one link wrote any uid.
func TestA02LinkWritesItsOwnUIDOnly(t *testing.T) {
	owner := shared.as(t, alice)
	one, two := owner.link(toPut("a02/one")), owner.link(toPut("a02/two"))
	with := shared.stranger(t).with(one)
	begin := map[string]any{"name": "a02/two", "size": 3}
	begun := into[protocol.Upload](with, shared.stranger(t).with(two).post("/v1/uploads", begin), http.StatusCreated)
	if begun.UID != two.UID {
		t.Fatalf("the link of %s begins %s", two.UID, begun.UID)
	}
	with.refused(with.post("/v1/uploads", begin), protocol.KindForbidden)
	with.refused(with.part(two.UID, 1, []byte("one")), protocol.KindForbidden)
	with.refused(with.commit(two.UID), protocol.KindForbidden)
	with.refused(with.get("/v1/uploads/"+two.UID.String()), protocol.KindForbidden)
	stranger := shared.stranger(t)
	f := into[protocol.File](stranger, stranger.do(http.MethodPut, "/l/"+one.Token, []byte("one")), http.StatusCreated)
	if f.UID != one.UID {
		t.Errorf("the link of %s put %s", one.UID, f.UID)
	}
	if u := into[protocol.Upload](owner, owner.get("/v1/uploads/"+two.UID.String()), http.StatusOK); len(u.Parts) != 0 || u.State != protocol.UploadOpen {
		t.Errorf("the other is %+v", u)
	}
}

// Its download loaded what the unsigned uid of the query named.
func TestA03LinkReadsItsOwnUIDOnly(t *testing.T) {
	owner := shared.as(t, alice)
	one, two := owner.put("a03/one", []byte("one")), owner.put("a03/two", []byte("two"))
	first, second := owner.link(toGet(one.UID)), owner.link(toGet(two.UID))
	stranger := shared.stranger(t)
	for _, query := range []string{"?uid=" + two.UID.String(), "?token=" + second.Token, "?name=x"} {
		stranger.refused(stranger.get("/l/"+first.Token+query), protocol.KindUnknownField)
	}
	with := stranger
	with.authorization = "Link " + first.Token
	with.refused(with.get(contentOf(two.UID)), protocol.KindUnauthenticated)
	for i := range first.Token {
		changed := []byte(first.Token)
		changed[i] = second.Token[i]
		if string(changed) == first.Token {
			continue
		}
		stranger.refused(stranger.get("/l/"+string(changed)), protocol.KindForbidden)
	}
	stranger.holds("/l/"+first.Token, []byte("one"))
}

// A foreign link with a known MD5 re-pointed the metadata of any uid.
func TestA05FinishedFileIsNobodysToReplace(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	f := owner.put("a05", []byte("finished"))
	known := shared.as(t, bob).put("a05/secret", []byte("bob's own"))
	foreign := shared.as(t, bob).link(toPut("a05"))
	with := stranger.with(foreign)
	with.refused(with.part(f.UID, 1, []byte("replaced")), protocol.KindForbidden)
	with.refused(with.commit(f.UID), protocol.KindForbidden)
	claim := map[string]any{"digest": known.Digest}
	owner.refused(owner.post("/v1/uploads/"+f.UID.String()+"/claim", claim), protocol.KindNotFound)
	owner.holds(contentOf(f.UID), []byte("finished"))

	// The known sum with another body is neither the file nor a way to it.
	own := owner.begin("a05/own", 9)
	sum := protocol.SumXXH3([]byte("bob's own"))
	ans := owner.do(http.MethodPut, "/v1/uploads/"+own.UID.String()+"/parts/1", []byte("any bytes"), protocol.HeaderXXH3, sum.String())
	owner.refused(ans, protocol.KindChecksumMismatch)
	owner.refused(owner.commit(own.UID), protocol.KindPartsMissing)
	owner.refused(owner.get(contentOf(own.UID)), protocol.KindNotFound)
}

// The link of an upload overwrote the finished file until it expired.
func TestA06LinkIsSpentOnceItsFileIsThere(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	l := owner.link(toPut("a06"))
	stranger.want(stranger.do(http.MethodPut, "/l/"+l.Token, []byte("first")), http.StatusCreated)
	stranger.refused(stranger.do(http.MethodPut, "/l/"+l.Token, []byte("other")), protocol.KindCommitted)
	with := stranger.with(l)
	with.refused(with.part(l.UID, 1, []byte("other")), protocol.KindCommitted)
	owner.refused(owner.part(l.UID, 1, []byte("other")), protocol.KindCommitted)
	owner.holds(contentOf(l.UID), []byte("first"))
}

// It joined the fields that it signed with a dash, unescaped.
func TestA09SignedFieldsDoNotRunIntoEachOther(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	f := owner.put("a09", []byte("abc"))
	seen := map[string]string{}
	for _, joined := range []string{"text/x-a-b-c", "text/x--", "text/x-\x00"} {
		for cut := len("text/x"); cut <= len(joined); cut++ {
			mediaType, name := joined[:cut], "n"+joined[cut:]
			l := toGet(f.UID)
			l.MediaType, l.Name = &mediaType, &name
			ans := owner.post("/v1/links", protocol.CreateLinks{Links: []protocol.NewLink{l}})
			if ans.Status == http.StatusBadRequest {
				continue // no such name, or type
			}
			token := into[protocol.LinkList](owner, ans, http.StatusOK).Links[0].Token
			what := mediaType + "|" + name
			if before, ok := seen[token]; ok {
				t.Errorf("%q and %q have one signature", before, what)
			}
			seen[token] = what
			got := stranger.want(stranger.get("/l/"+token), http.StatusOK)
			if told := savedAs(t, got); told != name || got.Header.Get("Content-Type") != mediaType {
				t.Errorf("%q is answered as %q of type %q", what, told, got.Header.Get("Content-Type"))
			}
		}
	}
	if len(seen) < 8 {
		t.Errorf("only %d were signed", len(seen))
	}
}

// Name and disposition were not signed: who had the link chose them.
func TestA10NameAndDispositionAreSigned(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	f := owner.put("a10.txt", []byte("abc"), "Content-Type", "text/plain")
	l := owner.link(toGet(f.UID))
	for _, query := range []string{"?name=evil.html", "?online=1", "?disposition=inline", "?media_type=text/html"} {
		stranger.refused(stranger.get("/l/"+l.Token+query), protocol.KindUnknownField)
	}
	ans := stranger.want(stranger.get("/l/"+l.Token), http.StatusOK)
	if got := ans.Header.Get("Content-Disposition"); got != `attachment; filename="a10.txt"` {
		t.Errorf("it is sent as %s", got)
	}
}

// Callers chose any end, negative ones and years ahead; nothing could begin later.
func TestA14EndsOfLinksAreBounded(t *testing.T) {
	owner := shared.as(t, alice)
	f := owner.put("a14", []byte("abc"))
	for _, times := range []string{
		`"expires_in": 0`, `"expires_in": -1`, `"expires_in": 604801`, `"expires_in": 9223372036854775807`, `"expires_in": 9300000000000000000`,
		`"expires_at": "2000-01-01T00:00:00Z"`, `"expires_at": "2999-01-01T00:00:00Z"`, `"not_before": "2999-01-01T00:00:00Z"`,
	} {
		body := fmt.Sprintf(`{"links": [{"action": "get", "uid": "%s", %s}]}`, f.UID, times)
		if ans := owner.do(http.MethodPost, "/v1/links", []byte(body), "Content-Type", "application/json"); ans.Status != http.StatusBadRequest {
			t.Errorf("%s: answered %d %s", times, ans.Status, ans.Body)
		}
	}
	soon, late := protocol.TimeOf(f.CreatedAt.Add(time.Hour)), int64(7*24*60*60)
	l := toGet(f.UID)
	l.ExpiresIn, l.NotBefore = &late, &soon
	stranger := shared.stranger(t)
	if ans := stranger.get("/l/" + owner.link(l).Token); ans.Code() != protocol.KindForbidden || !strings.Contains(string(ans.Body), "begins at") {
		t.Errorf("before its time: %d %s", ans.Status, ans.Body)
	}
}

// It stamped the local time with the letter of UTC: nodes disagreed on every end.
func TestA15LinksKnowNoTimeZone(t *testing.T) {
	data := t.TempDir()
	east := harness.StartDaemon(t, program(t, "ospd-east"), data)
	api := east.API()
	f := api.MustFile(api.PutFile("a15", []byte("abc")), http.StatusCreated)
	ans := api.JSON(http.MethodPost, "/v1/links", map[string]any{"links": []any{map[string]any{"action": "get", "uid": f.UID, "expires_in": 600}}})
	l := into[protocol.LinkList](caller{t: t}, ans, http.StatusOK).Links[0]
	if d := l.ExpiresAt.Sub(f.CommittedAt.Time); d < 9*time.Minute || d > 11*time.Minute {
		t.Errorf("600 seconds after %s is %s", f.CommittedAt, l.ExpiresAt)
	}
	if !strings.HasSuffix(l.ExpiresAt.String(), "Z") {
		t.Errorf("it ends at %s", l.ExpiresAt)
	}
	api.Require(api.Do(http.MethodGet, "/l/"+l.Token, nil, 0), http.StatusOK)
	if exit := east.Stop(); exit != 0 {
		t.Fatalf("the first left with %d: %s", exit, east.Stderr())
	}
	west := harness.StartDaemon(t, program(t, "ospd"), data)
	api = west.API()
	api.Require(api.Do(http.MethodGet, "/l/"+l.Token, nil, 0), http.StatusOK)
	if exit := west.Stop(); exit != 0 {
		t.Errorf("the second left with %d: %s", exit, west.Stderr())
	}
}

// Links carried bucket and object: where bytes lie was no secret.
func TestA25NothingTellsWhereBytesLie(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	content := harness.Content(25, 9<<20)
	f := owner.putParts("a25/large", content)
	damaged := owner.putParts("a25/damaged", harness.Content(26, 9<<20))
	shared.flip(t, damaged, 100)
	get, put := owner.link(toGet(f.UID)), owner.link(toPut("a25/new"))
	stranger.want(stranger.get("/l/"+get.Token, "Range", "bytes=1-2"), http.StatusPartialContent)
	stranger.want(stranger.do(http.MethodPut, "/l/"+put.Token, []byte("abc")), http.StatusCreated)
	owner.refused(owner.get(contentOf(damaged.UID)), protocol.KindContentCorrupt)
	owner.refused(owner.get(contentOf(1234567890123456)), protocol.KindNotFound)
	owner.want(owner.get("/v1/stores"), http.StatusOK)
	stranger.want(stranger.get("/readyz"), http.StatusOK)
	owner.want(owner.get("/v1/files?limit=1000"), http.StatusOK)
	for _, told := range shared.leaks(t) {
		t.Error(told)
	}
	if !strings.Contains(shared.answered.String(), get.Token) {
		t.Error("what was answered is not kept")
	}
}
