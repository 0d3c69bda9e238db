package e2e

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/osproxy/osproxy/docs/schema/schematest"
)

// schemasKey is of the published schemas, which all scripts share.
type schemasKey struct{}

// cmdJSON is `json results|files|jobs|webhooks stdout|FILE [LINE FIELD=VALUE...]`. Results
// are result lines and one last summary that agrees with them; files are File
// objects, jobs Job objects, webhooks Webhook objects. LINE counts from 1, summary is the last; VALUE is as JSON prints it,
// without the quotes of strings; error.code is the field of a field.
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: json results|files|jobs|webhooks stdout|FILE [LINE FIELD=VALUE...]")
	}
	published, ok := ts.Value(schemasKey{}).(func() (*schematest.Schemas, error))
	if !ok {
		ts.Fatalf("there are no schemas")
	}
	schemas, err := published()
	ts.Check(err)
	verb := map[string]string{"results": "put", "files": "stat", "jobs": "admin jobs show", "webhooks": "admin webhooks list", "stores": "admin stores", "nodes": "admin nodes", "links": "link", "manifest": "admin import"}[args[0]]
	text := ts.ReadFile(args[1])
	ts.Check(schemas.Output(verb, []byte(text)))
	var lines []map[string]any
	for line := range strings.Lines(text) {
		var o map[string]any
		ts.Check(json.Unmarshal([]byte(line), &o))
		lines = append(lines, o)
	}
	if len(args) == 2 {
		return
	}
	n := len(lines)
	if args[2] != "summary" {
		n, err = strconv.Atoi(args[2])
		ts.Check(err)
	}
	if n < 1 || n > len(lines) {
		ts.Fatalf("there are %d lines", len(lines))
	}
	for _, want := range args[3:] {
		name, value, _ := strings.Cut(want, "=")
		if got := field(lines[n-1], name); got != value {
			ts.Fatalf("line %d: %s is %s, want %s", n, name, got, value)
		}
	}
}

// field is a field of an object as text; "a.b" is b of the object a.
func field(o map[string]any, name string) string {
	outer, inner, nested := strings.Cut(name, ".")
	v := o[outer]
	if nested {
		if below, ok := v.(map[string]any); ok {
			return field(below, inner)
		}
	}
	if s, ok := v.(string); ok {
		return s
	}
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(data)
}
