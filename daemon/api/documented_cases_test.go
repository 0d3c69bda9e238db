package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// ofItsOwn: what only some routes answer, and why.
func ofItsOwn(t *testing.T, s *seen) {
	o := startOspd(t)
	do := func(status int, method, target, body string, header ...string) answer {
		t.Helper()
		a := o.do(method, target, body, header...)
		s.note(method, target, a, status)
		return a
	}
	uploadsAlone(o, do)
	filesAlone(o, do)
	linksAlone(o, do)
	jobsAlone(o, do)
	linkRewritten(o, do)
	claimsFailed(o, do)
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
	do(http.StatusNotFound, http.MethodPost, "/v1/jobs", `{"kind": "nap", "args": {"fails": "not_found"}}`)
	do(http.StatusConflict, http.MethodPost, "/v1/jobs", `{"kind": "nap", "args": {"fails": "conflict"}}`)
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
