package cli

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/client/transfer"
	"github.com/osproxy/osproxy/docs/schema"
	"github.com/osproxy/osproxy/protocol"
)

// TestSchemasAgreeWithTheStructs: each published object has the fields of the
// struct that is printed, requires those that are always there, and says null
// where the struct can.
func TestSchemasAgreeWithTheStructs(t *testing.T) {
	tests := []struct {
		schema string
		below  []string // the way to the object in it
		value  any
	}{
		{"result.json", nil, resultLine{}},
		{"result.json", []string{"error"}, errorLine{}},
		{"summary.json", nil, summaryLine{}},
		{"file.json", nil, protocol.File{}},
		{"problem.json", nil, protocol.Problem{}},
		{"problem.json", []string{"parts"}, protocol.Part{}},
		{"transfer.json", nil, transfer.Transfer{}},
		{"transfer.json", []string{"stamp"}, transfer.Stamp{}},
		{"transfer.json", []string{"last_error"}, transfer.LastError{}},
		{"profile.json", nil, profileLine{}},
		{"settings.json", nil, effectiveLine{}},
		{"settings.json", []string{"token"}, setting{}},
		{"version.json", nil, build{}},
		{"job.json", nil, protocol.Job{}},
		{"job.json", []string{"progress"}, protocol.JobProgress{}},
		{"webhook.json", nil, protocol.Webhook{}},
		{"created_webhook.json", nil, protocol.CreatedWebhook{}},
		{"webhook_test.json", nil, protocol.WebhookTest{}},
		{"webhook_replay.json", nil, protocol.WebhookReplay{}},
		{"store.json", nil, protocol.Store{}},
		{"link.json", nil, protocol.Link{}},
		{"manifest_entry.json", nil, protocol.ManifestEntry{}},
		{"event.json", nil, protocol.Event{}},
		{"event.json", []string{"data"}, protocol.EventData{}},
		{"event.json", []string{"data", "job"}, protocol.EventJob{}},
	}
	// What ospd prints is held to its schema by ospd's own tests.
	seen := map[string]bool{"copied_metadata.json": true, "store_test_case.json": true, "store_test_summary.json": true}
	for _, tt := range tests {
		seen[tt.schema] = true
		t.Run(fmt.Sprint(tt.schema, tt.below), func(t *testing.T) {
			s := schema.Read(tt.schema)
			for _, name := range tt.below {
				s = s.Resolve().Properties[name]
				if s.Items != nil {
					s = s.Items
				}
			}
			compare(t, s.Resolve(), reflect.TypeOf(tt.value))
		})
	}
	for _, name := range schema.Names() {
		if !seen[name] {
			t.Errorf("%s is published and compared with no struct", name)
		}
	}
}

// compare holds a schema and the struct that is printed to each other.
func compare(t *testing.T, s *schema.Object, typ reflect.Type) {
	t.Helper()
	var names, required []string
	for _, f := range reflect.VisibleFields(typ) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() {
			continue
		}
		names = append(names, name)
		optional := strings.Contains(options, "omit")
		if !optional {
			required = append(required, name)
		}
		described := s.Properties[name]
		if described == nil {
			t.Errorf("%s is printed and not described", name)
			continue
		}
		want := kinds(f.Type)
		if f.Type.Kind() == reflect.Slice && typ.Implements(reflect.TypeFor[json.Marshaler]()) {
			want = []string{"array"} // it sees to it that no list is null
		}
		if optional {
			want = slices.DeleteFunc(want, func(kind string) bool { return kind == "null" })
		}
		if got := described.Kinds(); !slices.Equal(got, want) {
			t.Errorf("%s is described as %v and printed as %v", name, got, want)
		}
	}
	for name := range s.Properties {
		if !slices.Contains(names, name) {
			t.Errorf("%s is described and never printed", name)
		}
	}
	slices.Sort(required)
	if got := slices.Sorted(slices.Values(s.Required)); !slices.Equal(got, required) {
		t.Errorf("required are %v, always printed are %v", got, required)
	}
}

// kinds are the JSON types that a value of a Go type is printed as, in order.
func kinds(typ reflect.Type) []string {
	if typ.Kind() == reflect.Pointer {
		return slices.Sorted(slices.Values(append(kinds(typ.Elem()), "null")))
	}
	if typ.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return []string{"string"}
	}
	if typ == reflect.TypeFor[json.RawMessage]() {
		return []string{"object"}
	}
	switch typ.Kind() {
	case reflect.String:
		return []string{"string"}
	case reflect.Bool:
		return []string{"boolean"}
	case reflect.Struct:
		return []string{"object"}
	case reflect.Map:
		return []string{"null", "object"}
	case reflect.Slice:
		return []string{"array", "null"}
	default:
		return []string{"integer"}
	}
}
