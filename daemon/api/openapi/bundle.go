package openapi

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/osproxy/osproxy/docs/schema"
)

// bundle is every schema of docs/schema under its name, with the references
// between files turned into those between components. What osp and ospd only
// print is among them: see used.
func bundle() object {
	all := object{}
	for _, file := range slices.Concat(schema.Names(), schema.APINames()) {
		var s object
		if err := json.Unmarshal(schema.Text(file), &s); err != nil {
			panic(fmt.Sprintf("openapi: %s: %v", file, err))
		}
		// Both are of a file of its own: what is in a component has its place by
		// the document's address.
		delete(s, "$id")
		delete(s, "$schema")
		relate(file, s)
		all[component(file)] = s
	}
	return all
}

// used are those of the schemas to which v refers, and those to which they do.
func used(schemas object, v any) object {
	found := object{}
	var look func(v any)
	look = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, below := range v {
				look(below)
			}
		case object:
			if to, ok := v["$ref"].(string); ok {
				to, schema := strings.CutPrefix(to, "#/components/schemas/")
				name, _, _ := strings.Cut(to, "/")
				if _, before := found[name]; schema && !before {
					found[name] = schemas[name]
					look(schemas[name])
				}
			}
			for _, below := range v {
				look(below)
			}
		}
	}
	look(v)
	return found
}

// component is the name of a schema's component: that of its file, as a type.
func component(file string) string {
	name := strings.TrimSuffix(path.Base(file), ".json")
	var b strings.Builder
	for word := range strings.SplitSeq(name, "_") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// relate changes each $ref below v, which is in the schema of that name.
func relate(file string, v any) {
	switch v := v.(type) {
	case []any:
		for _, below := range v {
			relate(file, below)
		}
	case object:
		if to, ok := v["$ref"].(string); ok {
			other, place, _ := strings.Cut(to, "#")
			v["$ref"] = "#/components/schemas/" + component(schema.FileOf(file, other)) + place
		}
		for _, below := range v {
			relate(file, below)
		}
	}
}

// ref refers to a component that is a schema.
func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }

// list is an answer that has a list of components under a name, with what else
// there is.
func list(name, of string, more object) object {
	properties := object{name: object{"type": "array", "items": ref(of)}}
	required := []any{name}
	for other, s := range more {
		properties[other] = s
		required = append(required, other)
	}
	return object{"type": "object", "properties": properties, "required": required}
}

// page is a list that goes on.
func page(name, of string) object {
	return list(name, of, object{"next": object{"description": "The cursor of the next page; null on the last.", "type": []any{"string", "null"}}})
}
