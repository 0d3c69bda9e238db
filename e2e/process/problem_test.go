package process

import (
	"net/http"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/docs/schema/schematest"
	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// TestEveryErrorIsAProblem: whatever is wrong with a request to whichever
// route, the answer is a problem document as it is published.
func TestEveryErrorIsAProblem(t *testing.T) {
	schemas, err := schematest.Load()
	if err != nil {
		t.Fatal(err)
	}
	d := harness.StartDaemon(t, bin, t.TempDir())
	api := d.API()
	asJSON := []string{"Content-Type", "application/json"}
	wrongs := []struct {
		name, body string
		header     []string
	}{
		{"an unknown field", `{"no_such_field": 1}`, asJSON},
		{"half an object", `{"name": `, asJSON},
		{"a number", `7`, asJSON},
		{"another media type", `name: x`, []string{"Content-Type", "application/yaml"}},
		{"a foreign page", ``, []string{"Origin", "http://elsewhere.example"}},
		{"a token that is none", ``, []string{"Authorization", "Bearer osp_none"}},
		{"too many headers", ``, []string{"X-Filler", strings.Repeat("x", 1<<20)}},
	}
	unknown := strings.NewReplacer("{uid}", "1234567890123456", "{number}", "1", "{id}", "0123456789ab")
	misspelt := strings.NewReplacer("{uid}", "007", "{number}", "x", "{id}", "!")
	seen := map[protocol.Kind]bool{}
	ask := func(way, method, path, body string, header []string) {
		ans := api.Do(method, path, strings.NewReader(body), int64(len(body)), header...)
		switch {
		case ans.Err != nil:
			t.Errorf("%s %s with %s: %v", method, path, way, ans.Err)
		case ans.Status < 400, method == http.MethodHead:
		case ans.Header.Get("Content-Type") != "application/problem+json":
			t.Errorf("%s %s with %s: %d of %q", method, path, way, ans.Status, ans.Header.Get("Content-Type"))
		default:
			if err := schemas.Check("problem.json", ans.Body); err != nil {
				t.Errorf("%s %s with %s: %v", method, path, way, err)
			}
			seen[ans.Code()] = true
		}
	}
	for _, r := range protocol.Routes() {
		for _, w := range wrongs {
			ask(w.name, r.Method, unknown.Replace(r.Path), w.body, w.header)
		}
		ask("a misspelt path", r.Method, misspelt.Replace(r.Path), "", nil)
		ask("another method", "PROPFIND", unknown.Replace(r.Path), "", nil)
	}
	ask("an unknown path", "GET", "/v2/files", "", nil)
	for _, kind := range []protocol.Kind{
		protocol.KindBadRequest, protocol.KindUnknownField, protocol.KindBadUID, protocol.KindNotFound,
		protocol.KindMethodNotAllowed, protocol.KindBadOrigin, protocol.KindUnsupportedMediaType, protocol.KindHeadersTooLarge,
	} {
		if !seen[kind] {
			t.Errorf("nothing was answered with %s", kind)
		}
	}
	stopClean(t, d)
}

// TestCommitProblemsNameTheParts: the members that only some problems have are
// as published too.
func TestCommitProblemsNameTheParts(t *testing.T) {
	schemas, err := schematest.Load()
	if err != nil {
		t.Fatal(err)
	}
	d := harness.StartDaemon(t, bin, t.TempDir())
	api := d.API()
	const size = protocol.MinPartSize + 1
	u := api.MustBegin("two parts", size)
	api.Require(api.PutPart(u.UID, 1, harness.Content(1, u.PartSize)), http.StatusOK)
	missing := api.Commit(u.UID)
	api.Require(api.PutPart(u.UID, 2, harness.Content(2, size-u.PartSize)), http.StatusOK)
	differ := api.JSON("POST", "/v1/uploads/"+u.UID.String()+"/commit", map[string]any{"parts_xxh3": strings.Repeat("0", 32)})
	tests := []struct {
		ans    harness.Answer
		code   protocol.Kind
		member string
	}{
		{missing, protocol.KindPartsMissing, `"missing":[[2,2]]`},
		{differ, protocol.KindPartsDiffer, `"parts":[{`},
	}
	for _, tt := range tests {
		if tt.ans.Code() != tt.code || !strings.Contains(string(tt.ans.Body), tt.member) {
			t.Errorf("%s, want %s with %s", tt.ans.Body, tt.code, tt.member)
		}
		if err := schemas.Check("problem.json", tt.ans.Body); err != nil {
			t.Error(err)
		}
	}
	stopClean(t, d)
}
