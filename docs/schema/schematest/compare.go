package schematest

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/osproxy/osproxy/docs/schema"
)

// Compare holds a schema and the struct that is printed to each other: the same
// fields, those required that are always there, and null where the struct can
// say it.
func Compare(s *schema.Object, typ reflect.Type) error {
	required, err := compareFields(s, typ, typ.Implements(reflect.TypeFor[json.Marshaler]()))
	slices.Sort(required)
	if got := slices.Sorted(slices.Values(s.Required)); !slices.Equal(got, required) {
		err = errors.Join(err, fmt.Errorf("required are %v, always printed are %v", got, required))
	}
	return err
}

// CompareRequest is Compare for what is read: which fields are required no
// struct says, and a list that is asked for cannot be null.
func CompareRequest(s *schema.Object, typ reflect.Type) error {
	_, err := compareFields(s, typ, true)
	return err
}

// compareFields compares all but what is required, and gives the fields that are
// always printed. With lists no list is null.
func compareFields(s *schema.Object, typ reflect.Type, lists bool) (required []string, err error) {
	var names []string
	for _, f := range reflect.VisibleFields(typ) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() || f.Anonymous {
			continue
		}
		names = append(names, name)
		optional := strings.Contains(options, "omit")
		if !optional {
			required = append(required, name)
		}
		described := s.Properties[name]
		if described == nil {
			err = errors.Join(err, fmt.Errorf("%s is printed and not described", name))
			continue
		}
		want := kinds(f.Type)
		if slices.Contains(want, "array") && (lists || f.Type.Implements(reflect.TypeFor[json.Marshaler]())) {
			want = []string{"array"}
		}
		if optional {
			want = slices.DeleteFunc(want, func(kind string) bool { return kind == "null" })
		}
		if got := described.Kinds(); !slices.Equal(got, want) {
			err = errors.Join(err, fmt.Errorf("%s is described as %v and printed as %v", name, got, want))
		}
	}
	for name := range s.Properties {
		if !slices.Contains(names, name) {
			err = errors.Join(err, fmt.Errorf("%s is described and never printed", name))
		}
	}
	return required, err
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
