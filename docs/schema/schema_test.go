package schema

import (
	"slices"
	"testing"
)

// TestEverySchemaCanBeRead: each reference leads somewhere, each field is of some
// kind, and what is required is described.
func TestEverySchemaCanBeRead(t *testing.T) {
	var look func(where string, o *Object)
	look = func(where string, o *Object) {
		for _, name := range o.Fields() {
			field := o.Properties[name]
			if field == nil {
				t.Errorf("%s requires %s, which it does not describe", where, name)
				continue
			}
			if len(field.Kinds()) == 0 {
				t.Errorf("%s.%s is of no kind", where, name)
			}
			look(where+"."+name, field.Resolve())
		}
		if o.Items != nil {
			look(where+"[]", o.Items.Resolve())
		}
	}
	for _, name := range slices.Concat(Names(), APINames()) {
		o := Read(name)
		if o.Title == "" || o.Description == "" {
			t.Errorf("%s says not what it is", name)
		}
		look(name, o)
	}
}

func TestFieldsAreInOrder(t *testing.T) {
	o := &Object{Required: []string{"b", "a"}, Properties: map[string]*Object{"a": nil, "b": nil, "d": nil, "c": nil}}
	if got := o.Fields(); !slices.Equal(got, []string{"b", "a", "c", "d"}) {
		t.Errorf("%v", got)
	}
}
