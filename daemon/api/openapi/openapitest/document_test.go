package openapitest

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

const small = `{
	"openapi": "3.1.1",
	"paths": {
		"/things/{id}": {
			"parameters": [],
			"get": {"operationId": "look", "responses": {
				"200": {"description": "", "headers": {"ETag": {"$ref": "#/components/headers/ETag"}},
					"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}},
				"404": {"$ref": "#/components/responses/none"}
			}},
			"delete": {"operationId": "remove", "responses": {"204": {"description": ""}}}
		},
		"/bytes": {"get": {"operationId": "bytes", "responses": {"200": {"description": "", "content": {"*/*": {}}}}}}
	},
	"components": {
		"headers": {"ETag": {"required": true, "schema": {"type": "string", "pattern": "^\".+\"$"}}},
		"schemas": {
			"Thing": {"type": "object", "properties": {"size": {"type": "integer"}}, "required": ["size"]},
			"Problem": {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]}
		},
		"responses": {"none": {"description": "", "content": {"application/problem+json": {"schema": {"allOf": [
			{"$ref": "#/components/schemas/Problem"}, {"properties": {"code": {"enum": ["not_found"]}}}]}}}}}
	}
}`

func TestCheck(t *testing.T) {
	d, err := Read([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	const json = "application/json"
	tests := []struct {
		name, method, target string
		status               int
		etag, media, body    string
		wrong                string // "" for nothing
	}{
		{"as documented", "GET", "/things/7?x=y", 200, `"e"`, json, `{"size": 1}`, ""},
		{"a HEAD of a GET", "HEAD", "/things/7", 200, `"e"`, json, "", ""},
		{"a refusal", "GET", "/things/7", 404, "", problem, `{"code": "not_found"}`, ""},
		{"nothing", "DELETE", "/things/7", 204, "", "", "", ""},
		{"bytes of any type", "GET", "/bytes", 200, "", "text/plain; charset=utf-8", "abc", ""},
		{"no such path", "GET", "/things/7/8", 404, "", problem, `{"code": "not_found"}`, ""},
		{"no such method", "PUT", "/things/7", 405, "", problem, `{"code": "method_not_allowed"}`, ""},

		{"another status", "GET", "/things/7", 409, "", problem, `{"code": "conflict"}`, "not documented"},
		{"another code", "GET", "/things/7", 404, "", problem, `{"code": "gone"}`, "code"},
		{"no field", "GET", "/things/7", 200, "", json, `{"size": 1}`, "no ETag"},
		{"a wrong field", "GET", "/things/7", 200, "e", json, `{"size": 1}`, "ETag"},
		{"no member", "GET", "/things/7", 200, `"e"`, json, `{}`, "size"},
		{"a member too many", "GET", "/things/7", 200, `"e"`, json, `{"size": 1, "new": 2}`, "new"},
		{"a member of another type", "GET", "/things/7", 200, `"e"`, json, `{"size": "1"}`, "size"},
		{"no JSON", "GET", "/things/7", 200, `"e"`, json, `{`, "JSON"},
		{"another media type", "GET", "/things/7", 200, `"e"`, "text/html", `<p>`, "text/html"},
		{"no media type", "GET", "/things/7", 200, `"e"`, "", `{"size": 1}`, "Content-Type"},
		{"a body where none is", "DELETE", "/things/7", 204, "", json, `{}`, "none is documented"},
		{"success nowhere", "GET", "/elsewhere", 200, "", json, `{}`, "no operation"},
		{"no problem nowhere", "GET", "/elsewhere", 404, "", json, `{}`, "code"},
		{"a segment that is empty", "GET", "/things/", 200, `"e"`, json, `{"size": 1}`, "no operation"},
		{"a path with an escape", "GET", "/things/%37", 200, `"e"`, json, `{"size": 1}`, "no operation"},
		{"a path in other letters", "GET", "/Things/7", 200, `"e"`, json, `{"size": 1}`, "no operation"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			header := http.Header{}
			if tt.etag != "" {
				header.Set("ETag", tt.etag)
			}
			header.Set("Content-Type", tt.media)
			pair, err := d.Check(Answer{Method: tt.method, Target: tt.target, Status: tt.status, Header: header, Body: []byte(tt.body)})
			if tt.wrong == "" && err != nil || tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong)) {
				t.Errorf("%v, error %v, want one about %q", pair, err, tt.wrong)
			}
		})
	}
	t.Run("preflights", func(t *testing.T) {
		allowed := http.Header{"Access-Control-Allow-Methods": {"PUT"}}
		for _, c := range []struct {
			a    Answer
			good bool
		}{
			{Answer{Method: "OPTIONS", Status: 204, Header: allowed}, true},
			{Answer{Method: "OPTIONS", Status: 204, Header: http.Header{}}, false},
			{Answer{Method: "OPTIONS", Status: 200, Header: allowed}, false},
			{Answer{Method: "OPTIONS", Status: 204, Header: allowed, Body: []byte("x")}, false},
			{Answer{Method: "PUT", Status: 204, Header: allowed}, false},
		} {
			c.a.Target = "/things/7"
			if _, err := d.Check(c.a); (err == nil) != c.good {
				t.Errorf("%+v: %v", c.a, err)
			}
		}
	})
	want := []Pair{{"bytes", 200, ""}, {"look", 200, ""}, {"look", 404, "not_found"}, {"remove", 204, ""}}
	if got := d.Pairs(); !slices.Equal(got, want) {
		t.Errorf("the pairs are %v", got)
	}
}

func TestReadRefuses(t *testing.T) {
	for _, text := range []string{"", "{", "[]"} {
		if _, err := Read([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
