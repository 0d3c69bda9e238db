package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// TestRefusals are the codes that the routes of this version give, but those
// of the header, which TestBodies and TestRoutes have.
func TestRefusals(t *testing.T) {
	o := startOspd(t)
	part := bytes.Repeat([]byte("x"), 100)
	sum := sha256.Sum256([]byte("another"))
	digest := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
	known := func() string { return o.begin(`{"name": "a", "size": 100}`).UID.String() }
	unknown := func() string { return o.begin(`{"name": "a"}`).UID.String() }
	filled := func() string {
		uid := o.begin(`{"name": "a", "size": 100}`).UID
		into[protocol.Part](t, o.put(uid, 1, part), http.StatusOK)
		return uid.String()
	}
	committed := func() string { return o.upload("a", part).UID.String() }
	for name, c := range map[string]struct {
		method, path string
		uid          func() string
		body         string
		header       []string
		kind         protocol.Kind
	}{
		"begin without name":       {"POST", "/v1/uploads", nil, `{}`, nil, protocol.KindBadName},
		"begin with a bad name":    {"POST", "/v1/uploads", nil, `{"name": "a/../b"}`, nil, protocol.KindBadName},
		"begin with a size below":  {"POST", "/v1/uploads", nil, `{"name": "a", "size": -1}`, nil, protocol.KindBadRequest},
		"begin with a size beyond": {"POST", "/v1/uploads", nil, `{"name": "a", "size": 42949672960001}`, nil, protocol.KindTooLarge},
		"begin with another field": {"POST", "/v1/uploads", nil, `{"name": "a", "sise": 1}`, nil, protocol.KindUnknownField},
		"begin with a bad hash":    {"POST", "/v1/uploads", nil, `{"name": "a", "fingerprint": "A"}`, nil, protocol.KindBadRequest},
		"file without name":        {"POST", "/v1/files", nil, "x", nil, protocol.KindBadName},
		"file with a wrong XXH3":   {"POST", "/v1/files?name=a", nil, "x", []string{"Osp-Xxh3", protocol.SumXXH3([]byte("y")).String()}, protocol.KindChecksumMismatch},
		"file with a wrong digest": {"POST", "/v1/files?name=a", nil, "x", []string{"Content-Digest", digest}, protocol.KindChecksumMismatch},
		"part of no upload":        {"PUT", "/v1/uploads/77/parts/1", nil, "x", nil, protocol.KindNotFound},
		"part too short":           {"PUT", "/v1/uploads/UID/parts/1", known, "x", nil, protocol.KindBadLength},
		"part too long":            {"PUT", "/v1/uploads/UID/parts/1", known, strings.Repeat("x", 101), nil, protocol.KindBadLength},
		"part beyond the last":     {"PUT", "/v1/uploads/UID/parts/2", known, "x", nil, protocol.KindBadPart},
		"part beyond all":          {"PUT", "/v1/uploads/UID/parts/10001", unknown, "x", nil, protocol.KindTooManyParts},
		"part beyond numbers":      {"PUT", "/v1/uploads/UID/parts/99999999999999999999", unknown, "x", nil, protocol.KindTooManyParts},
		"part with a wrong XXH3":   {"PUT", "/v1/uploads/UID/parts/1", known, string(part), []string{"Osp-Xxh3", protocol.SumXXH3(nil).String()}, protocol.KindChecksumMismatch},
		"part with a wrong digest": {"PUT", "/v1/uploads/UID/parts/1", known, string(part), []string{"Content-Digest", digest}, protocol.KindChecksumMismatch},
		"part after commit":        {"PUT", "/v1/uploads/UID/parts/1", committed, string(part), nil, protocol.KindCommitted},
		"commit without parts":     {"POST", "/v1/uploads/UID/commit", known, "", nil, protocol.KindPartsMissing},
		"commit without size":      {"POST", "/v1/uploads/UID/commit", unknown, "{}", nil, protocol.KindSizeRequired},
		"commit of other parts":    {"POST", "/v1/uploads/UID/commit", filled, `{"parts_xxh3": "` + protocol.SumXXH3(nil).String() + `"}`, nil, protocol.KindPartsDiffer},
		"commit of other content":  {"POST", "/v1/uploads/UID/commit", filled, `{"digest": "` + strings.Repeat("0", 64) + `"}`, nil, protocol.KindDigestDiffers},
		"commit of another size":   {"POST", "/v1/uploads/UID/commit", filled, `{"size": 99}`, nil, protocol.KindPartsDiffer},
		"commit of another field":  {"POST", "/v1/uploads/UID/commit", filled, `{"sise": 99}`, nil, protocol.KindUnknownField},
		"commit of no upload":      {"POST", "/v1/uploads/77/commit", nil, "", nil, protocol.KindNotFound},
		"abort after commit":       {"DELETE", "/v1/uploads/UID", committed, "", nil, protocol.KindCommitted},
		"abort of no upload":       {"DELETE", "/v1/uploads/77", nil, "", nil, protocol.KindNotFound},
		"no upload":                {"GET", "/v1/uploads/77", nil, "", nil, protocol.KindNotFound},
		"no file":                  {"GET", "/v1/files/77", nil, "", nil, protocol.KindNotFound},
		"an upload is no file":     {"GET", "/v1/files/UID", known, "", nil, protocol.KindNotFound},
		"no content":               {"GET", "/v1/files/77/content", nil, "", nil, protocol.KindNotFound},
		"no blocks":                {"GET", "/v1/files/77/blocks", nil, "", nil, protocol.KindNotFound},
		"delete of no file":        {"DELETE", "/v1/files/77", nil, "", nil, protocol.KindNotFound},
		"patch of no file":         {"PATCH", "/v1/files/77", nil, `{"name": "b"}`, nil, protocol.KindNotFound},
		"patch to a bad name":      {"PATCH", "/v1/files/UID", committed, `{"name": "/b"}`, nil, protocol.KindBadName},
		"patch of the size":        {"PATCH", "/v1/files/UID", committed, `{"size": 1}`, nil, protocol.KindUnknownField},
		"limit beyond":             {"GET", "/v1/files?limit=1001", nil, "", nil, protocol.KindBadRequest},
		"a cursor of nobody":       {"GET", "/v1/files?cursor=xyz", nil, "", nil, protocol.KindBadRequest},
		"a cursor of nobody's":     {"GET", "/v1/uploads?cursor=xyz", nil, "", nil, protocol.KindBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			path := c.path
			if c.uid != nil {
				path = strings.Replace(path, "UID", c.uid(), 1)
			}
			p := o.do(c.method, path, c.body, c.header...).problem(t, c.kind)
			if (c.kind == protocol.KindPartsMissing) != (p.Missing != nil) || (c.kind == protocol.KindPartsDiffer) != (p.Parts != nil) {
				t.Errorf("%s comes with missing %v and parts %v", c.kind, p.Missing, p.Parts)
			}
		})
	}
}
