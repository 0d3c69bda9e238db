package batch

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/osproxy/osproxy/protocol"
)

// Op is what a line asks for.
type Op string

// The ops.
const (
	Put    Op = "put"
	Get    Op = "get"
	Remove Op = "rm"
)

// Line is one line of a batch. What a field means is in the table of fields.
type Line struct {
	// Number counts the lines of the text from 1, those without an op too.
	Number int
	Op     Op
	ID     string
	Path   string
	// Name, MediaType, Meta and Expires are a put's.
	Name, MediaType string
	Meta            map[string]string
	Expires         string
	// UID is that of a get or rm.
	UID      protocol.UID
	IfExists string
}

// Relative reports whether the line means other files in another folder.
func (l Line) Relative() bool { return l.Op != Remove && !filepath.IsAbs(l.Path) }

// MaxID bounds an id, in bytes.
const MaxID = 256

// Parse reads one line, strictly: a field that the op does not have, in exactly
// its spelling, a field given twice, a value of another type and text after the
// object are refused. A field that is null is not given.
func Parse(text []byte) (Line, error) {
	names, err := protocol.CheckObject(text, "the line")
	if err != nil {
		return Line{}, err
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal(text, &values); err != nil {
		return Line{}, badf("the line is not JSON: %v", err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return string(values[name]) == "null" })
	var l Line
	if l.Op, err = opOf(values["op"]); err != nil {
		return Line{}, err
	}
	for _, name := range names {
		f, ok := fieldOf(l.Op, name)
		if !ok {
			return Line{}, badf("%s has no field %.80q, but %s", l.Op, name, namesOf(l.Op))
		}
		if err := f.set(&l, values[name]); err != nil {
			return Line{}, err
		}
	}
	for f := range fieldsOf(l.Op) {
		if f.required && !slices.Contains(names, f.name) {
			return Line{}, badf("%s is missing: %s", f.name, f.text)
		}
	}
	return l, l.check()
}

// opOf reads the field that says which other fields there may be.
func opOf(value json.RawMessage) (Op, error) {
	if len(value) == 0 || string(value) == "null" {
		return "", badf("op is missing: put, get or rm")
	}
	word, err := textOf("op", value)
	switch op := Op(word); {
	case err != nil:
		return "", err
	case op == Put || op == Get || op == Remove:
		return op, nil
	case op == "run":
		return "", badf("a batch cannot run another one")
	}
	return "", badf("op is put, get or rm, not %.80q", word)
}

// check refuses what no field shows alone.
func (l Line) check() error {
	if l.Op != Put || l.Name != "" {
		return nil
	}
	if err := protocol.CheckName(filepath.Base(l.Path)); err != nil {
		return badf("path ends in what cannot be a stored name, and there is no name: %v", err)
	}
	return nil
}

// textOf reads a string.
func textOf(field string, value json.RawMessage) (s string, err error) {
	if value[0] != '"' {
		return "", badf("%s is a string, not %s", field, typeOf(value))
	}
	err = json.Unmarshal(value, &s)
	return s, err
}

// typeOf names the type of a JSON value.
func typeOf(value json.RawMessage) string {
	switch value[0] {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "a list"
	case 't', 'f':
		return "true or false"
	case 'n':
		return "null"
	}
	return "a number"
}

func badf(format string, args ...any) error {
	return protocol.Errorf(protocol.KindUsage, "%s", fmt.Sprintf(format, args...))
}
