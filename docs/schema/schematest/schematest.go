// Package schematest checks, for tests, that what was printed is as the
// published schemas say. It is stricter than they are: a field that none of
// them describes is found too, since whoever adds one has to publish it.
package schematest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/osproxy/osproxy/docs/schema"
)

// Schemas are all published schemas, compiled.
type Schemas struct {
	byName map[string]*jsonschema.Schema
}

// Load compiles them. An error is one of a schema itself.
func Load() (*Schemas, error) {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	ids := map[string]string{}
	for _, name := range slices.Concat(schema.Names(), schema.APINames()) {
		text, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema.Text(name)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		whole, _ := text.(map[string]any)
		id, _ := whole["$id"].(string)
		if !strings.HasSuffix(id, "/"+name) {
			return nil, fmt.Errorf("%s: $id is %q", name, id)
		}
		Close(text)
		if err := c.AddResource(id, text); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		ids[name] = id
	}
	s := &Schemas{byName: map[string]*jsonschema.Schema{}}
	for name, id := range ids {
		compiled, err := c.Compile(id)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		s.byName[name] = compiled
	}
	return s, nil
}

// Close forbids, in every object that is described whole below v, the fields
// that are not described. It changes v, which is a schema or holds some.
func Close(v any) {
	switch v := v.(type) {
	case []any:
		for _, below := range v {
			Close(below)
		}
	case map[string]any:
		_, described := v["properties"].(map[string]any)
		if _, whole := v["required"]; described && whole {
			v["additionalProperties"] = false
		}
		for _, below := range v {
			Close(below)
		}
	}
}

// Check compares a JSON document with the schema of that name.
func (s *Schemas) Check(name string, document []byte) error {
	compiled, ok := s.byName[name]
	if !ok {
		return fmt.Errorf("there is no schema %s", name)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return fmt.Errorf("%q is not one JSON document: %w", document, err)
	}
	if err := compiled.Validate(v); err != nil {
		return fmt.Errorf("%q: %w", document, err)
	}
	return nil
}
