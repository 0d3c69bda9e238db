package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/osproxy/osproxy/docs/schema"
	"github.com/osproxy/osproxy/docs/schema/schematest"
	"github.com/osproxy/osproxy/protocol"
)

// everything is a document in which each route is of every sort in turn, so that
// nothing of this package is left out.
func everything() []byte {
	var routes []Route
	for i, r := range protocol.Routes() {
		operation := operations()[r.Name]
		d := Route{Route: r, Access: Access(i % 3), Scopes: protocol.AllScopes()[:1+i%2], LinkToo: i%2 == 0, Drains: true, Query: []string{"limit", "meta."}}
		if operation.takes != "" {
			d.Body = JSON
		}
		routes = append(routes, d)
	}
	for path, o := range v0Operations() {
		d := Route{Route: protocol.Route{Name: protocol.RouteName("v0" + path), Method: "PUT", Path: "/api/storage/v0" + path}, Access: BySignature, Body: Form}
		for name := range v0Parameters() {
			d.Query = append(d.Query, name)
		}
		slices.Sort(d.Query)
		if o.body != nil {
			d.Body, d.Access = JSON, ByTokenOrAddress
		}
		routes = append(routes, d)
	}
	return Document("1.2.3", routes)
}

// TestDocumentIsOpenAPI compares it with the schema that the OpenAPI Initiative
// publishes.
func TestDocumentIsOpenAPI(t *testing.T) {
	c := jsonschema.NewCompiler()
	for name, id := range map[string]string{
		"schema.json": "schema/2025-11-23", "schema-base.json": "schema-base/2025-11-23", "dialect.json": "dialect/2024-11-10", "meta.json": "meta/2024-11-10",
	} {
		text, err := os.ReadFile(filepath.Join("testdata", "oas", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource("https://spec.openapis.org/oas/3.1/"+id, decode(t, text)); err != nil {
			t.Fatal(err)
		}
	}
	official, err := c.Compile("https://spec.openapis.org/oas/3.1/schema-base/2025-11-23")
	if err != nil {
		t.Fatal(err)
	}
	if err := official.Validate(decode(t, everything())); err != nil {
		t.Error(err)
	}
	for from, to := range map[string]string{
		`"openapi":"3.1.1"`: `"openapi":"3.0.0"`, `"in":"path"`: `"in":"paths"`, `"type":"string"`: `"type":"text"`, `"responses":{"2`: `"responses":{"x`,
	} {
		wrong := bytes.Replace(everything(), []byte(from), []byte(to), 1)
		if official.Validate(decode(t, wrong)) == nil {
			t.Errorf("%s in place of %s passes", to, from)
		}
	}
}

func decode(t *testing.T, text []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestReferencesLeadSomewhere, and each component is of use.
func TestReferencesLeadSomewhere(t *testing.T) {
	root := decode(t, everything())
	used := map[string]bool{}
	var look func(v any)
	look = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, below := range v {
				look(below)
			}
		case object:
			if to, ok := v["$ref"].(string); ok {
				at := root
				steps := strings.Split(strings.TrimPrefix(to, "#/"), "/")
				for _, step := range steps {
					at = at.(object)[step]
					if at == nil {
						t.Fatalf("%s leads nowhere", to)
					}
				}
				used[strings.Join(steps[:3], "/")] = true
			}
			for _, below := range v {
				look(below)
			}
		}
	}
	look(root)
	for kind, all := range root.(object)["components"].(object) {
		for name := range all.(object) {
			if kind != "securitySchemes" && !used["components/"+kind+"/"+name] {
				t.Errorf("nothing refers to the component %s of the %s", name, kind)
			}
		}
	}
}

// TestOperationsSayAll: each route has its operation and no operation is of none;
// each says what it is, has its parameters bounded and describes each answer.
func TestOperationsSayAll(t *testing.T) {
	written, found, v0 := operations(), 0, 0
	root := decode(t, everything()).(object)
	for path, item := range root["paths"].(object) {
		for method, o := range item.(object) {
			if method == "parameters" {
				checkParameters(t, path, o.([]any))
				continue
			}
			o := o.(object)
			id := fmt.Sprint(o["operationId"])
			if strings.HasPrefix(path, "/api/storage/v0/") {
				v0++
			} else if r := protocol.RouteOf(protocol.RouteName(id)); r.Path != path || !strings.EqualFold(r.Method, method) {
				t.Errorf("%s is at %s %s", id, method, path)
			}
			if o["summary"] == "" || o["security"] == nil || len(o["tags"].([]any)) != 1 || o["tags"].([]any)[0] == "" {
				t.Errorf("%s does not say all: %v", id, o)
			}
			parameters, _ := o["parameters"].([]any)
			checkParameters(t, id, parameters)
			good := false
			for status := range o["responses"].(object) {
				good = good || status < "300"
			}
			if !good {
				t.Errorf("%s never succeeds", id)
			}
		}
		found += len(item.(object)) - 1
	}
	if found -= v0; found != len(protocol.Routes()) || len(written) != found || v0 != 11 {
		t.Errorf("%d operations of %d routes, %d are written, %d of v0", found, len(protocol.Routes()), len(written), v0)
	}
	for name, r := range root["components"].(object)["responses"].(object) {
		if r.(object)["description"] == "" {
			t.Errorf("%s is not described", name)
		}
	}
}

func checkParameters(t *testing.T, where string, list []any) {
	t.Helper()
	for _, p := range list {
		p := p.(object)
		if p["$ref"] != nil {
			continue
		}
		s := p["schema"].(object)
		_, most := s["maxLength"]
		_, number := s["maximum"]
		if p["description"] == "" || !most && !number && s["pattern"] == nil && s["enum"] == nil && s["$ref"] == nil {
			t.Errorf("the parameter %v of %s has no bound or no description", p["name"], where)
		}
	}
}

// TestExamplesAreValid: what is shown is what is described.
func TestExamplesAreValid(t *testing.T) {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	const address = "https://daemon.test/openapi.json"
	root := decode(t, everything())
	if err := c.AddResource(address, root); err != nil {
		t.Fatal(err)
	}
	found := 0
	check := func(at string, example any) {
		s, err := c.Compile(address + "#" + at)
		if err == nil {
			err = s.Validate(example)
		}
		if err != nil {
			t.Errorf("the example of %s: %v", at, err)
		}
		found++
	}
	var look func(at string, v any)
	look = func(at string, v any) {
		o, ok := v.(object)
		if !ok {
			return
		}
		if example, ok := o["example"]; ok {
			check(at+"/schema", example)
		}
		if examples, ok := o["examples"].([]any); ok {
			for _, example := range examples {
				check(at, example)
			}
		}
		for name, below := range o {
			look(at+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(name), below)
		}
	}
	look("", root)
	if found < 20 {
		t.Errorf("%d examples were found", found)
	}
}

// TestSchemasAgreeWithTheStructs: what only the API has is described as the
// structs are that are read and printed.
func TestSchemasAgreeWithTheStructs(t *testing.T) {
	answers := map[string]any{
		"api/part.json": protocol.Part{}, "api/upload.json": protocol.Upload{}, "api/upload_summary.json": protocol.UploadSummary{},
		"api/probed.json": protocol.Probed{}, "api/challenge.json": protocol.Challenge{}, "api/capabilities.json": protocol.Capabilities{},
		"api/token.json": protocol.Token{}, "api/created_token.json": protocol.CreatedToken{},
	}
	requests := map[string]any{
		"api/begin_upload.json": protocol.BeginUpload{}, "api/probe.json": protocol.Probe{}, "api/commit_upload.json": protocol.CommitUpload{},
		"api/claim.json": protocol.Claim{}, "api/create_token.json": protocol.CreateToken{}, "api/create_job.json": protocol.CreateJob{}, "api/patch_node.json": protocol.PatchNode{},
		"api/create_webhook.json": protocol.CreateWebhook{}, "api/create_links.json": protocol.CreateLinks{}, "api/new_link.json": protocol.NewLink{},
	}
	// What has no struct of protocol: the patch is read member by member, and how
	// the daemon is only the API says; their answers are compared in daemon/api.
	seen := map[string]bool{"api/patch_file.json": true, "api/health.json": true}
	for name, v := range answers {
		seen[name] = true
		if err := schematest.Compare(schema.Read(name), reflect.TypeOf(v)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, v := range requests {
		seen[name] = true
		if err := schematest.CompareRequest(schema.Read(name), reflect.TypeOf(v)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range schema.APINames() {
		if !seen[name] {
			t.Errorf("%s is published and compared with no struct", name)
		}
	}
}

// TestServerIsWhereTheDocumentIs, below the folder of a proxy too.
func TestServerIsWhereTheDocumentIs(t *testing.T) {
	servers := decode(t, everything()).(object)["servers"].([]any)
	for from, want := range map[string]string{"https://h.example/openapi.json": "https://h.example/", "https://h.example/osp/openapi.json": "https://h.example/osp/"} {
		document, err := url.Parse(from)
		if err != nil {
			t.Fatal(err)
		}
		got, err := document.Parse(servers[0].(object)["url"].(string))
		if err != nil || got.String() != want || len(servers) != 1 {
			t.Errorf("the servers of %s are %v, %v", from, servers, err)
		}
	}
}

// TestDocumentIsTheSameEachTime, so that it can be compared and cached.
func TestDocumentIsTheSameEachTime(t *testing.T) {
	if !bytes.Equal(everything(), everything()) || !json.Valid(everything()) {
		t.Error("the document is another one each time")
	}
}
