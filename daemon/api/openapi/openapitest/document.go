// Package openapitest holds answers, for tests, to the OpenAPI document: each has
// a status that is documented for its route, the fields that such an answer
// always has, and the body that is described. It is stricter than the document: a
// field of a body that nobody described is found too.
package openapitest

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/osproxy/osproxy/docs/schema/schematest"
)

// address is where the document is to the compiler of schemas.
const address = "https://daemon.test/openapi.json"

// problem is the type of answers that are Problems.
const problem = "application/problem+json"

// Document is one, ready to compare. Its methods are safe for concurrent use.
type Document struct {
	root  map[string]any
	paths []path

	mu       sync.Mutex // of all below
	compiler *jsonschema.Compiler
	compiled map[string]*jsonschema.Schema
}

type path struct {
	template string
	segments []string
	item     map[string]any
}

// Pair is a documented answer: of an operation, with a status and, where the
// answer is a Problem, its code.
type Pair struct {
	Operation string
	Status    int
	Code      string
}

// String is the pair as it is written in lists.
func (p Pair) String() string {
	return strings.TrimSuffix(p.Operation+" "+strconv.Itoa(p.Status)+" "+p.Code, " ")
}

// Read reads a document.
func Read(text []byte) (*Document, error) {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("the document is no JSON: %w", err)
	}
	schematest.Close(v)
	root, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("the document is no object")
	}
	d := &Document{root: root, compiler: jsonschema.NewCompiler(), compiled: map[string]*jsonschema.Schema{}}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource(address, v); err != nil {
		return nil, err
	}
	for template, item := range object(root["paths"]) {
		d.paths = append(d.paths, path{template, strings.Split(template, "/"), object(item)})
	}
	return d, nil
}

// Pairs are all documented answers, in order.
func (d *Document) Pairs() []Pair {
	var all []Pair
	for _, p := range d.paths {
		for method, o := range p.item {
			if method == "parameters" {
				continue
			}
			for status, r := range object(object(o)["responses"]) {
				n, err := strconv.Atoi(status)
				if err != nil {
					panic("the document has an answer " + status)
				}
				for _, code := range d.codes(r) {
					all = append(all, Pair{operationID(o), n, code})
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b Pair) int { return strings.Compare(a.String(), b.String()) })
	return all
}

// codes are those of the Problems that a response may be, "" alone where it is
// none, or has no body to say so.
func (d *Document) codes(response any) []string {
	r, _ := d.follow(response, "")
	s := object(object(object(r["content"])[problem])["schema"])
	all, _ := s["allOf"].([]any)
	var codes []string
	for _, part := range all {
		enum, _ := object(object(object(part)["properties"])["code"])["enum"].([]any)
		for _, code := range enum {
			codes = append(codes, fmt.Sprint(code))
		}
	}
	if codes == nil {
		return []string{""}
	}
	return codes
}

// find is the operation that a request goes to, and where it is in the document;
// nil for none. HEAD goes where GET goes unless it has one of its own. No path
// has anything that another server could spell in another way.
func (d *Document) find(method, target string) (operation map[string]any, at string) {
	target, _, _ = strings.Cut(target, "?")
	if strings.ContainsAny(target, `%\`) {
		return nil, ""
	}
	segments := strings.Split(target, "/")
	for _, p := range d.paths {
		if !p.matches(segments) {
			continue
		}
		for _, m := range []string{method, map[string]string{http.MethodHead: http.MethodGet}[method]} {
			if o, ok := p.item[strings.ToLower(m)]; ok && m == strings.ToUpper(m) && m != "" {
				return object(o), "/paths/" + escape(p.template) + "/" + strings.ToLower(m)
			}
		}
	}
	return nil, ""
}

func (p path) matches(segments []string) bool {
	return slices.EqualFunc(p.segments, segments, func(want, got string) bool {
		return want == got || strings.HasPrefix(want, "{") && got != ""
	})
}

// schema compiles what is at a place of the document.
func (d *Document) schema(at string) (*jsonschema.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s, ok := d.compiled[at]; ok {
		return s, nil
	}
	s, err := d.compiler.Compile(address + "#" + at)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	d.compiled[at] = s
	return s, nil
}

// follow is what is at a place, and its own place, after the references there.
func (d *Document) follow(v any, at string) (map[string]any, string) {
	o := object(v)
	to, ok := o["$ref"].(string)
	if !ok {
		return o, at
	}
	at = strings.TrimPrefix(to, "#")
	v = any(d.root)
	for step := range strings.SplitSeq(strings.TrimPrefix(at, "/"), "/") {
		v = object(v)[strings.NewReplacer("~1", "/", "~0", "~").Replace(step)]
	}
	return d.follow(v, at)
}

func object(v any) map[string]any {
	o, _ := v.(map[string]any)
	return o
}

func operationID(o any) string {
	id, _ := object(o)["operationId"].(string)
	return id
}

// escape is a step of a JSON pointer (RFC 6901).
func escape(step string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(step) }
