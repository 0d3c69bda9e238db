package api

import (
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/storetest"
)

// fromBelow: what no request has in its hand. The handlers are the real ones,
// and what is below them fails.
func fromBelow(t *testing.T, s *seen) {
	for name, what := range map[string]func(*testing.T, *seen){
		"the database is full": databaseFull, "another node is down": ownerDown,
		"the store fails": storeFails, "the store is closed": storeClosed, "content is damaged": contentDamaged,
		"the digest is not known": digestUnknown, "the daemon fails": daemonFails, "too many connections": tooManyConnections,
	} {
		t.Run(name, func(t *testing.T) { what(t, s) })
	}
}

// walk uses each route, after harm was done to what is below all of them. What
// is answered then is taken note of, and has to be documented.
func walk(t *testing.T, s *seen, harm func(o *ospd)) {
	t.Helper()
	walkOn(t, s, startOspd(t), harm)
}

// walkOn is walk of an ospd that was started.
func walkOn(t *testing.T, s *seen, o *ospd, harm func(o *ospd)) {
	t.Helper()
	alice, visits, targets := o.as("alice"), visits(), map[protocol.RouteName]string{}
	for _, r := range protocol.Routes() {
		targets[r.Name] = visits[r.Name].prepared(alice, r)
	}
	var v0 []v0Visit
	for _, row := range v0Rows() {
		v0 = append(v0, v0Visits()[row.path](alice))
	}
	harm(o)
	for _, r := range protocol.Routes() {
		s.take(r.Method, targets[r.Name], alice.do(r.Method, targets[r.Name], visits[r.Name].body))
	}
	for i, row := range v0Rows() {
		target := v0Prefix + row.path + v0[i].target
		s.take(row.method, target, alice.do(row.method, target, v0[i].body, "Content-Type", v0[i].contentType))
	}
}

// databaseFull: what would be written cannot be, and what is read is given.
func databaseFull(t *testing.T, s *seen) {
	walk(t, s, func(o *ospd) { metatest.Fill(t, metaPath(o.blobs)) })

	// The first round of a claim writes nothing.
	o := startOspd(t)
	uid, _ := aClaimableUpload(o)
	path := "/v1/uploads/" + uid.String() + "/claim"
	ch := into[protocol.Challenge](t, o.do(http.MethodPost, path, `{"digest": "`+digestOf("abc").String()+`"}`), http.StatusOK)
	second := secondRound(t, uid, ch)
	// Nor do links without a key that is remembered, or a replay of nothing.
	if err := o.db.RegisterConsumer(t.Context(), meta.FanOutConsumer); err != nil {
		t.Fatal(err)
	}
	_, hook := aWebhook(o)
	o.giveUpDelivery(hook)
	metatest.Fill(t, metaPath(o.blobs))
	s.note(http.MethodPost, path, o.do(http.MethodPost, path, second), http.StatusInsufficientStorage)
	s.note(http.MethodPost, "/v1/links", o.do(http.MethodPost, "/v1/links", `{"links": [{"action": "put", "name": "a"}]}`, "Idempotency-Key", "k"), http.StatusInsufficientStorage)
	s.note(http.MethodPost, "/v1/webhooks/"+hook+"/replay", o.do(http.MethodPost, "/v1/webhooks/"+hook+"/replay", ""), http.StatusInsufficientStorage)
	s.note(http.MethodPatch, "/v1/nodes/bbbb", o.do(http.MethodPatch, "/v1/nodes/bbbb", `{"draining": true}`), http.StatusInsufficientStorage)
}

// secondRound is the body of a claim of "abc" that proves to have it.
func secondRound(t *testing.T, uid protocol.UID, ch protocol.Challenge) string {
	t.Helper()
	nonce, err := protocol.ParseNonce(ch.Nonce)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := protocol.Proof(nonce, uid, 3, digestOf("abc"), ch.Ranges, strings.NewReader("abc"))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"nonce": %q, "proof": "%x"}`, ch.Nonce, proof)
}

// giveUpDelivery has a webhook miss an event.
func (o *ospd) giveUpDelivery(hook string) {
	o.t.Helper()
	aFile(o)
	id, err := protocol.ParseWebhookID(hook)
	if err != nil {
		o.t.Fatal(err)
	}
	_, _, err = o.db.NumberEvents(o.t.Context())
	for more := true; more && err == nil; {
		more, _, err = o.db.FanOut(o.t.Context())
	}
	_, due, dueErr := o.db.DueDeliveries(o.t.Context(), id, 1)
	if err := errors.Join(err, dueErr); err != nil || len(due) != 1 {
		o.t.Fatalf("due are %+v, %v", due, err)
	}
	if _, err := o.db.DeliveryFailed(o.t.Context(), due[0], meta.DeliveryFailure{Dead: true, Rest: func(int) time.Duration { return 0 }}); err != nil {
		o.t.Fatal(err)
	}
}

// storeFails: nothing can be written to the store, nor read.
func storeFails(t *testing.T, s *seen) {
	var faulty *storetest.Faulty
	o := startOspdOver(t, meta.Quota{}, func(b store.Backend) store.Backend {
		faulty = storetest.NewFaulty(b)
		return faulty
	}, func(*upload.Config) {}, func(*Config) {})
	file, _ := aFile(o)
	_, get := aLinkToGet(o)
	_, put := aLinkToPut(o)
	open, _ := anUpload(o)
	full, _ := aFullUpload(o)
	faulty.Otherwise(func(storetest.Op, int) storetest.Fault {
		return storetest.Fault{Before: errors.New("the store is away")}
	})
	const away = http.StatusServiceUnavailable
	do := s.doing(o)
	do(away, http.MethodPost, "/v1/files?name=a", "abc")
	do(away, http.MethodPut, "/v1/uploads/"+open.String()+"/parts/1", "abc")
	do(away, http.MethodPut, "/l/"+put, "abc")
	do(away, http.MethodGet, contentPath(file), "")
	do(away, http.MethodGet, "/l/"+get, "")
	do(away, http.MethodPost, "/v1/jobs", `{"kind": "migrate", "args": {"from": "disk", "to": "other"}}`)
	// What was written is lost: of a part that is recorded the blob is given up.
	metatest.Harm(t, metaPath(o.blobs), `UPDATE blobs SET state = 'doomed', doomed_at = 0`)
	do(away, http.MethodPost, "/v1/uploads/"+full.String()+"/commit", "")
}

// storeClosed: the store for new bytes is closed for one that is not there.
func storeClosed(t *testing.T, s *seen) {
	o := startOspd(t)
	if err := errors.Join(o.db.RememberStore(t.Context(), "elsewhere"), o.db.CloseStore(t.Context(), "disk", "elsewhere")); err != nil {
		t.Fatal(err)
	}
	s.doing(o)(http.StatusServiceUnavailable, http.MethodPost, "/v1/uploads", `{"name": "a", "size": 3}`)
}

func contentDamaged(t *testing.T, s *seen) {
	o := startOspd(t)
	f := o.upload("a", []byte("sound"))
	link := o.link(fmt.Sprintf(`{"action": "get", "uid": "%s"}`, f.UID)).Token
	o.damage(5, func(path string) error { return os.WriteFile(path, []byte("harms"), 0o600) })
	do := s.doing(o)
	do(http.StatusInternalServerError, http.MethodGet, contentPath(f.UID), "")
	do(http.StatusInternalServerError, http.MethodHead, contentPath(f.UID), "")
	do(http.StatusInternalServerError, http.MethodGet, "/l/"+link, "")
}

// digestUnknown: of chunks that came in disorder the digest is found out later,
// and so is that they are not what was said.
func digestUnknown(t *testing.T, s *seen) {
	o := startOspd(t)
	alice := o.as("alice")
	l := alice.v0Links("a.bin")[0]
	o.v0Chunk(l, 2, []byte("second"), md5Of([]byte("second"))).v0(t, http.StatusOK)
	o.v0Chunk(l, 1, []byte("first"), md5Of([]byte("first"))).v0(t, http.StatusOK)
	o.v0Merge(l, 2, len("firstsecond"), md5Of([]byte("another"))).v0(t, http.StatusOK)
	do, blocks := s.doing(alice), "/v1/files/"+l.UID+"/blocks"
	do(http.StatusConflict, http.MethodGet, blocks, "")
	o.foundOut("firstsecond")
	do(http.StatusInternalServerError, http.MethodGet, blocks, "")
}

// foundOut records what a digest job finds out of the one content, which has no
// digest yet.
func (o *ospd) foundOut(content string) {
	o.t.Helper()
	due, err := o.db.DueDigests(o.t.Context(), 2)
	if err != nil || len(due) != 1 || due[0].DigestKnown {
		o.t.Fatalf("due are %+v, %v", due, err)
	}
	h := protocol.NewPartHasher()
	_, _ = h.Write([]byte(content)) // hashes do not fail
	_, blocks := h.Sum()
	err = o.db.FillDigest(o.t.Context(), meta.Filled{
		Content: due[0].Content, Gen: due[0].Gen, Digest: protocol.DigestOf(blocks), Fingerprint: protocol.FingerprintOf(int64(len(content)), blocks), Blocks: blocks,
		Findings: meta.Findings{SHA256: sha256.Sum256([]byte(content)), MD5: md5.Sum([]byte(content))},
	})
	if err != nil {
		o.t.Fatal(err)
	}
}

// daemonFails: a mistake of the program's own is nobody's handler's.
func daemonFails(t *testing.T, s *seen) {
	o, mistaken := startOspd(t), map[protocol.RouteName]endpoint{}
	for _, r := range protocol.Routes() {
		mistaken[r.Name] = endpoint{serve: func(*call) error { panic("a mistake") }}
	}
	alice, visits, failing := o.as("alice"), visits(), start(t, o.cfg, mistaken)
	failing.token = alice.token
	for i := range failing.v0.routes {
		failing.v0.routes[i].endpoint.serve = func(*call) error { panic("a mistake") }
	}
	for _, r := range protocol.Routes() {
		target := visits[r.Name].prepared(alice, r)
		s.note(r.Method, target, failing.do(r.Method, target, visits[r.Name].body), http.StatusInternalServerError)
	}
	for _, row := range v0Rows() {
		v := v0Visits()[row.path](alice)
		target := v0Prefix + row.path + v.target
		s.note(row.method, target, failing.do(row.method, target, v.body, "Content-Type", v.contentType), http.StatusInternalServerError)
	}
}

// tooManyConnections: whatever would have been asked.
func tooManyConnections(t *testing.T, s *seen) {
	f := start(t, Config{Limits: Limits{Connections: 1}}, nil)
	first := f.dial().send("GET /healthz HTTP/1.1\r\nHost: HOST\r\n\r\n")
	if a := first.read(http.MethodGet); a.StatusCode != http.StatusOK {
		t.Fatalf("answered %s", a.Status)
	}
	for _, r := range protocol.Routes() {
		target := protocol.Route{Path: r.Expand(7, 1)}.ExpandID("7")
		s.note(r.Method, target, f.dial().read(r.Method), http.StatusServiceUnavailable)
	}
	for _, row := range v0Rows() {
		s.note(row.method, v0Prefix+row.path, f.dial().read(row.method), http.StatusServiceUnavailable)
	}
}
