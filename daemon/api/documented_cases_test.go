package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/protocol"
)

// ofItsOwn: what only some routes answer, and why.
func ofItsOwn(t *testing.T, s *seen) {
	o := startOspd(t)
	do := s.doing(o)
	uploadsAlone(o, do)
	filesAlone(o, do)
	linksAlone(o, do)
	jobsAlone(o, do)
	linkRewritten(o, do)
	claimsFailed(o, do)
	namesRefused(o, do)
	bytesRefused(o, do)
	linksRefused(o, do)
	chunksSeen(o.as("alice"), s)
	overQuota(t, s)
}

// doing sends a request whose answer is to have the status.
type doing func(status int, method, target, body string, header ...string) answer

func uploadsAlone(o *ospd, do doing) {
	begin := fmt.Sprintf(`{"name": "a", "size": 9, "resume": true, "fingerprint": %q}`, fingerprintOf("123456789"))
	do(http.StatusCreated, http.MethodPost, "/v1/uploads", begin)
	do(http.StatusOK, http.MethodPost, "/v1/uploads", begin)
	do(http.StatusCreated, http.MethodPost, "/v1/uploads", `{"name": "b"}`, "Idempotency-Key", "u")
	do(http.StatusUnprocessableEntity, http.MethodPost, "/v1/uploads", `{"name": "c"}`, "Idempotency-Key", "u")
	open, _ := anUpload(o)
	do(http.StatusConflict, http.MethodPost, "/v1/uploads/"+open.String()+"/commit", "")
	file := o.upload("committed", []byte("abc")).UID.String()
	do(http.StatusConflict, http.MethodDelete, "/v1/uploads/"+file, "")
	do(http.StatusConflict, http.MethodPut, "/v1/uploads/"+file+"/parts/1", "abc")
	do(http.StatusOK, http.MethodPost, "/v1/uploads/"+file+"/commit", "")
	unknown := o.begin(`{"name": "of unknown size"}`).UID.String()
	do(http.StatusRequestEntityTooLarge, http.MethodPut, "/v1/uploads/"+unknown+"/parts/10001", "abc")
	do(http.StatusUnprocessableEntity, http.MethodPut, "/v1/uploads/"+open.String()+"/parts/1", "a")
}

func filesAlone(o *ospd, do doing) {
	do(http.StatusCreated, http.MethodPost, "/v1/files?name=a", "abc", "Idempotency-Key", "f")
	do(http.StatusUnprocessableEntity, http.MethodPost, "/v1/files?name=b", "abc", "Idempotency-Key", "f")
	do(http.StatusRequestEntityTooLarge, http.MethodPost, "/v1/files?name=a", strings.Repeat("a", protocol.OneShotMax+1))
	f := o.upload("whole", []byte("abcdef"))
	file := "/v1/files/" + f.UID.String()
	reads(do, file+"/content", f.ETag, http.MethodGet)
	reads(do, file+"/content", f.ETag, http.MethodHead)
	reads(do, file+"/blocks", strings.TrimSuffix(f.ETag, `"`)+`-blocks"`, http.MethodGet)
	do(http.StatusPreconditionFailed, http.MethodPatch, file, `{"name": "b"}`, "If-Match", `"other"`)
	do(http.StatusPreconditionFailed, http.MethodDelete, file, "", "If-Match", `"other"`)
}

// reads are the answers to conditions and ranges.
func reads(do doing, target, etag, method string) {
	do(http.StatusNotModified, method, target, "", "If-None-Match", etag)
	do(http.StatusPreconditionFailed, method, target, "", "If-Match", `"other"`)
	if method == http.MethodHead {
		return
	}
	do(http.StatusPartialContent, method, target, "", "Range", "bytes=1-2")
	do(http.StatusPartialContent, method, target, "", "Range", "bytes=0-0,2-3")
	do(http.StatusRequestedRangeNotSatisfiable, method, target, "", "Range", "bytes=1000-")
}

func linksAlone(o *ospd, do doing) {
	f := o.upload("linked", []byte("abcdef"))
	get := "/l/" + o.link(fmt.Sprintf(`{"action": "get", "uid": "%s"}`, f.UID)).Token
	reads(do, get, f.ETag, http.MethodGet)
	do(http.StatusNoContent, http.MethodDelete, "/v1/files/"+f.UID.String(), "")
	do(http.StatusNotFound, http.MethodGet, get, "")

	link := o.link(`{"action": "put", "name": "a", "max_size": 4}`)
	put := "/l/" + link.Token
	do(http.StatusRequestEntityTooLarge, http.MethodPut, put, "abcdef")
	do(http.StatusCreated, http.MethodPut, put, "abc")
	do(http.StatusConflict, http.MethodPut, put, "abc")
	do(http.StatusConflict, http.MethodPost, "/v1/uploads", `{"size": 3}`, "Authorization", "Link "+link.Token)

	missing := fmt.Sprintf(`{"links": [{"action": "get", "uid": "%s"}]}`, f.UID)
	do(http.StatusNotFound, http.MethodPost, "/v1/links", missing)
	do(http.StatusOK, http.MethodPost, "/v1/links", `{"links": [{"action": "put", "name": "a"}]}`, "Idempotency-Key", "l")
	do(http.StatusUnprocessableEntity, http.MethodPost, "/v1/links", `{"links": [{"action": "put", "name": "b"}]}`, "Idempotency-Key", "l")
	do(http.StatusNotFound, http.MethodDelete, "/v1/links?uid=9999999999999999999", "")
}

func jobsAlone(o *ospd, do doing) {
	do(http.StatusCreated, http.MethodPost, "/v1/jobs", `{"kind": "nap", "args": {"about": "x"}}`)
	do(http.StatusOK, http.MethodPost, "/v1/jobs", `{"kind": "nap", "args": {"about": "x"}}`)
	do(http.StatusCreated, http.MethodPost, "/v1/jobs", `{"kind": "nap"}`, "Idempotency-Key", "j")
	do(http.StatusUnprocessableEntity, http.MethodPost, "/v1/jobs", `{"kind": "import"}`, "Idempotency-Key", "j")
	first := into[protocol.Job](o.t, do(http.StatusCreated, http.MethodPost, "/v1/jobs", `{"kind": "nap", "args": {"about": "y"}}`), http.StatusCreated)
	do(http.StatusOK, http.MethodPost, "/v1/jobs/"+first.ID.String()+"/cancel", "")
	do(http.StatusCreated, http.MethodPost, "/v1/jobs", `{"kind": "nap", "args": {"about": "y"}}`)
	do(http.StatusConflict, http.MethodPost, "/v1/jobs/"+first.ID.String()+"/retry", "")
	do(http.StatusNotFound, http.MethodPost, "/v1/jobs", `{"kind": "nap", "args": {"file": "7"}}`)
	do(http.StatusCreated, http.MethodPost, "/v1/jobs", `{"kind": "migrate", "args": {"from": "disk", "to": "other"}}`)
	do(http.StatusConflict, http.MethodPatch, "/v1/nodes/aaaa", `{"draining": true}`)
	do(http.StatusConflict, http.MethodPost, "/v1/jobs", `{"kind": "migrate", "args": {"from": "other", "to": "disk"}}`)
}

// linkRewritten: who has a link sends other bytes each time.
func linkRewritten(o *ospd, do doing) {
	whole, parts := o.link(`{"action": "put", "name": "a"}`), o.link(`{"action": "put", "name": "b"}`)
	authorized := []string{"Authorization", "Link " + parts.Token}
	do(http.StatusCreated, http.MethodPost, "/v1/uploads", `{"size": 3}`, authorized...)
	do(http.StatusOK, http.MethodPost, "/v1/uploads", `{"size": 3}`, authorized...)
	part := "/v1/uploads/" + parts.UID.String() + "/parts/1"
	for range 10 {
		do(http.StatusUnprocessableEntity, http.MethodPut, "/l/"+whole.Token, "abc", protocol.HeaderXXH3, strings.Repeat("0", 32))
		do(http.StatusOK, http.MethodPut, part, "abc", authorized...)
		do(http.StatusConflict, http.MethodPut, part, "abd", authorized...)
	}
	do(http.StatusTooManyRequests, http.MethodPut, "/l/"+whole.Token, "abc")
	do(http.StatusTooManyRequests, http.MethodPut, part, "abc", authorized...)
}

func claimsFailed(o *ospd, do doing) {
	uid, _ := aClaimableUpload(o)
	path := "/v1/uploads/" + uid.String() + "/claim"
	digest := `{"digest": "` + digestOf("abc").String() + `"}`
	for range 10 {
		ch := into[protocol.Challenge](o.t, do(http.StatusOK, http.MethodPost, path, digest), http.StatusOK)
		do(http.StatusConflict, http.MethodPost, path, fmt.Sprintf(`{"nonce": %q, "proof": "%064x"}`, ch.Nonce, 0))
	}
	do(http.StatusTooManyRequests, http.MethodPost, path, digest)
}

func namesRefused(o *ospd, do doing) {
	const bad = http.StatusBadRequest
	file, _ := aFile(o)
	do(bad, http.MethodPost, "/v1/uploads", `{"name": ".."}`)
	do(bad, http.MethodPost, "/v1/files?name=..", "abc")
	do(bad, http.MethodPatch, "/v1/files/"+file.String(), `{"name": ".."}`)
	do(bad, http.MethodPost, "/v1/links", `{"links": [{"action": "put", "name": ".."}]}`)
	do(bad, http.MethodPost, "/v1/links", `{"links": [{"action": "get", "uid": "x"}]}`)
	do(bad, http.MethodDelete, "/v1/links?uid=x", "")
}

// bytesRefused: parts and commits that are not as they were said to be.
func bytesRefused(o *ospd, do doing) {
	const differ, bad = http.StatusConflict, http.StatusBadRequest
	other := strings.Repeat("0", 32)
	do(http.StatusUnprocessableEntity, http.MethodPost, "/v1/files?name=a", "abc", protocol.HeaderXXH3, other)
	open, _ := anUpload(o)
	part := "/v1/uploads/" + open.String() + "/parts/"
	do(http.StatusUnprocessableEntity, http.MethodPut, part+"1", "abc", protocol.HeaderXXH3, other)
	do(bad, http.MethodPut, part+"0", "abc")
	unsized := o.begin(`{"name": "unsized"}`)
	do(bad, http.MethodPost, "/v1/uploads/"+unsized.UID.String()+"/commit", "")
	full, _ := aFullUpload(o)
	commit := "/v1/uploads/" + full.String() + "/commit"
	do(differ, http.MethodPost, commit, `{"size": 2}`)
	do(differ, http.MethodPost, commit, fmt.Sprintf(`{"digest": "%s"}`, digestOf("abd")))
}

func linksRefused(o *ospd, do doing) {
	bounded := o.link(`{"action": "put", "name": "a", "max_size": 4}`).Token
	_, get := aLinkToGet(o)
	do(http.StatusForbidden, http.MethodGet, "/l/"+bounded, "")
	do(http.StatusForbidden, http.MethodPut, "/l/"+get, "abc")
	do(http.StatusBadRequest, http.MethodPost, "/v1/uploads", `{}`, "Authorization", "Link "+bounded)
	used := o.link(`{"action": "put", "name": "a"}`)
	do(http.StatusCreated, http.MethodPut, "/l/"+used.Token, "abc")
	do(http.StatusNoContent, http.MethodDelete, "/v1/files/"+used.UID.String(), "")
	do(http.StatusConflict, http.MethodPut, "/l/"+used.Token, "abc")
	do(http.StatusConflict, http.MethodPost, "/v1/uploads", `{"size": 3}`, "Authorization", "Link "+used.Token)
	begun := o.link(`{"action": "put", "name": "a"}`)
	as := []string{"Authorization", "Link " + begun.Token}
	do(http.StatusCreated, http.MethodPost, "/v1/uploads", `{"size": 3}`, as...)
	do(http.StatusOK, http.MethodPut, "/v1/uploads/"+begun.UID.String()+"/parts/1", "abc", as...)
	do(http.StatusConflict, http.MethodPut, "/l/"+begun.Token, "abd")
}

// chunksSeen: an upload that is sent in chunks takes no parts, and v0 alone
// merges it.
func chunksSeen(o *ospd, s *seen) {
	l := o.v0Links("a.bin")[0]
	o.v0Chunk(l, 1, []byte("hello"), md5Of([]byte("hello"))).v0(o.t, http.StatusOK)
	do := s.doing(o)
	do(http.StatusConflict, http.MethodPut, "/v1/uploads/"+l.UID+"/parts/1", "abc")
	do(http.StatusConflict, http.MethodPost, "/v1/uploads/"+l.UID+"/commit", `{"size": 5}`)
}

// overQuota: an owner may have five bytes, and as many webhooks as anybody.
func overQuota(t *testing.T, s *seen) {
	five := int64(5)
	o := startOspdWith(t, meta.Quota{Bytes: &five}, nil)
	do := s.doing(o)
	const over = http.StatusRequestEntityTooLarge
	do(over, http.MethodPost, "/v1/files?name=a", "123456")
	do(over, http.MethodPost, "/v1/uploads", `{"name": "a", "size": 6}`)
	do(over, http.MethodPut, "/l/"+o.link(`{"action": "put", "name": "a"}`).Token, "123456")
	unsized := o.begin(`{"name": "unsized"}`).UID.String()
	do(over, http.MethodPut, "/v1/uploads/"+unsized+"/parts/1", "123456")
	// A commit settles what parts were charged, which is as much unless that was
	// forgotten.
	do(http.StatusOK, http.MethodPut, "/v1/uploads/"+unsized+"/parts/1", "12345")
	metatest.Harm(t, metaPath(o.blobs), `UPDATE uploads SET reserved = 0`)
	do(over, http.MethodPost, "/v1/uploads/"+unsized+"/commit", `{"size": 5}`)
	for range protocol.MaxWebhooks {
		aWebhook(o)
	}
	do(over, http.MethodPost, "/v1/webhooks", newWebhook)
}
