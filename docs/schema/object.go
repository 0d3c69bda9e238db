package schema

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Object is what a schema of this folder says, as far as programs of this module
// read it: enough to print it, and to compare it with a struct.
type Object struct {
	Title       string             `json:"title"`
	Description string             `json:"description"`
	Ref         string             `json:"$ref"`
	Type        any                `json:"type"`
	Const       any                `json:"const"`
	Enum        []any              `json:"enum"`
	AnyOf       []*Object          `json:"anyOf"`
	Properties  map[string]*Object `json:"properties"`
	Required    []string           `json:"required"`
	Items       *Object            `json:"items"`
	Defs        map[string]*Object `json:"$defs"`

	file string
}

// Read reads the schema of that name. One that there is none of, or that is no
// JSON, is a mistake in the program, and a panic.
func Read(name string) *Object {
	o := &Object{}
	if err := json.Unmarshal(Text(name), o); err != nil {
		panic(fmt.Sprintf("%s: %v", name, err))
	}
	o.placed(name)
	return o
}

// placed tells all that is in the schema where it is.
func (o *Object) placed(file string) {
	if o == nil {
		return
	}
	o.file = file
	for _, below := range o.Properties {
		below.placed(file)
	}
	for _, below := range o.Defs {
		below.placed(file)
	}
	for _, below := range append(o.AnyOf, o.Items) {
		below.placed(file)
	}
}

// Resolve follows a $ref, which is to the $defs or the properties of a file, or
// to a whole file.
func (o *Object) Resolve() *Object {
	if o.Ref == "" {
		return o
	}
	file, place, inside := strings.Cut(o.Ref, "#")
	whole := Read(FileOf(o.file, file))
	if !inside {
		return whole
	}
	below := whole.Defs[strings.TrimPrefix(place, "/$defs/")]
	if name, ok := strings.CutPrefix(place, "/properties/"); ok {
		below = whole.Properties[name]
	}
	if below == nil {
		panic(o.Ref + " leads nowhere")
	}
	return below.Resolve()
}

// FileOf is the name of the schema that a $ref in the schema of that name is to,
// by what it has before the #.
func FileOf(from, ref string) string {
	if ref == "" {
		return from
	}
	return path.Join(path.Dir(from), ref)
}

// Kinds are the JSON types that are allowed, in order.
func (o *Object) Kinds() []string {
	o = o.Resolve()
	var found []string
	switch named := o.Type.(type) {
	case string:
		found = []string{named}
	case []any:
		for _, kind := range named {
			found = append(found, fmt.Sprint(kind))
		}
	}
	if slices.Contains(o.Enum, nil) {
		found = append(found, "null")
	}
	for _, v := range append(o.Enum, o.Const) {
		switch v.(type) {
		case string:
			found = append(found, "string")
		case float64:
			found = append(found, "integer")
		}
	}
	for _, one := range o.AnyOf {
		found = append(found, one.Kinds()...)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// Fields are the names of the properties: those that are always there in the
// order in which they are required, then the others.
func (o *Object) Fields() []string {
	var others []string
	for name := range o.Properties {
		if !slices.Contains(o.Required, name) {
			others = append(others, name)
		}
	}
	slices.Sort(others)
	return slices.Concat(o.Required, others)
}
