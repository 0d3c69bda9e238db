package cli

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
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
	}
	seen := map[string]bool{}
	for _, tt := range tests {
		seen[tt.schema] = true
		t.Run(fmt.Sprint(tt.schema, tt.below), func(t *testing.T) {
			s := read(t, tt.schema)
			for _, name := range tt.below {
				s = s.resolve(t).Properties[name]
				if s.Items != nil {
					s = s.Items
				}
			}
			s.resolve(t).compare(t, reflect.TypeOf(tt.value))
		})
	}
	for _, name := range schema.Names() {
		if !seen[name] {
			t.Errorf("%s is published and compared with no struct", name)
		}
	}
}

// object is what this test reads of a schema.
type object struct {
	Ref        string             `json:"$ref"`
	Type       any                `json:"type"`
	Const      any                `json:"const"`
	Enum       []any              `json:"enum"`
	AnyOf      []*object          `json:"anyOf"`
	Properties map[string]*object `json:"properties"`
	Required   []string           `json:"required"`
	Items      *object            `json:"items"`
	Defs       map[string]*object `json:"$defs"`

	file string
}

func read(t *testing.T, name string) *object {
	t.Helper()
	var s object
	if err := json.Unmarshal(schema.Text(name), &s); err != nil {
		t.Fatal(err)
	}
	s.placed(name)
	return &s
}

// placed tells all that is in the schema where it is.
func (s *object) placed(file string) {
	if s == nil {
		return
	}
	s.file = file
	for _, below := range slices.Concat(slices.Collect(maps.Values(s.Properties)), slices.Collect(maps.Values(s.Defs)), s.AnyOf, []*object{s.Items}) {
		below.placed(file)
	}
}

// resolve follows a $ref, which is to the $defs of a file.
func (s *object) resolve(t *testing.T) *object {
	t.Helper()
	if s.Ref == "" {
		return s
	}
	file, name, ok := strings.Cut(s.Ref, "#/$defs/")
	if file == "" {
		file = s.file
	}
	if below := read(t, file).Defs[name]; ok && below != nil {
		return below
	}
	t.Fatalf("%s leads nowhere", s.Ref)
	return nil
}

func (s *object) compare(t *testing.T, typ reflect.Type) {
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
		if optional {
			want = slices.DeleteFunc(want, func(kind string) bool { return kind == "null" })
		}
		if got := described.kinds(t); !slices.Equal(got, want) {
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

// kinds are the JSON types that a schema allows, in order.
func (s *object) kinds(t *testing.T) []string {
	t.Helper()
	s = s.resolve(t)
	var found []string
	switch named := s.Type.(type) {
	case string:
		found = []string{named}
	case []any:
		for _, kind := range named {
			found = append(found, kind.(string))
		}
	}
	for _, v := range append(s.Enum, s.Const) {
		switch v.(type) {
		case string:
			found = append(found, "string")
		case float64:
			found = append(found, "integer")
		}
	}
	for _, one := range s.AnyOf {
		found = append(found, one.kinds(t)...)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// kinds are the JSON types that a value of a Go type is printed as, in order.
func kinds(typ reflect.Type) []string {
	if typ.Kind() == reflect.Pointer {
		return slices.Sorted(slices.Values(append(kinds(typ.Elem()), "null")))
	}
	if typ.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return []string{"string"}
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
