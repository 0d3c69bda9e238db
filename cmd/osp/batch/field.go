package batch

import (
	"encoding/json"
	"fmt"
	"iter"
	"strings"

	"github.com/osproxy/osproxy/protocol"
)

// field is one row of the table that lines are parsed by and that the help is
// made of.
type field struct {
	// op is the op that has the field, "" for a field of all.
	op       Op
	name     string
	required bool
	text     string
	// set checks the value, which is not null, and puts it in the line.
	set func(*Line, json.RawMessage) error
}

// fields is the table. It is never changed.
var fields = [...]field{
	{"", "op", true, "what to do: put, get or rm", func(*Line, json.RawMessage) error { return nil }},
	{"", "id", false, "a name of your own for the line, which no other line has; results repeat it", setID},
	{Put, "path", true, "the file to upload", setPath},
	{Put, "name", false, "the name to store, instead of the last element of path", setName},
	{Put, "media_type", false, "the media type to store, instead of the one its bytes suggest", setMediaType},
	{Put, "meta", false, "an object of strings to store with the file", setMeta},
	{Put, "expires", false, "when the file expires: a time, or a duration such as 24h or 30d from when the line is begun", setExpires},
	{Get, "uid", true, "the file to download, as a string", setUID},
	{Get, "path", false, "the file or the folder to write to; without it, the last segment of the stored name in the current folder", setPath},
	{Get, "if_exists", false, "what to do about a different existing file: fail (the default), skip or overwrite", setIfExists},
	{Remove, "uid", true, "the file to delete for good, as a string", setUID},
}

// fieldsOf is the part of the table that holds for an op.
func fieldsOf(op Op) iter.Seq[field] {
	return func(yield func(field) bool) {
		for _, f := range fields {
			if (f.op == op || f.op == "") && !yield(f) {
				return
			}
		}
	}
}

// fieldOf is the field of an op that has the name.
func fieldOf(op Op, name string) (field, bool) {
	for f := range fieldsOf(op) {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

// namesOf are the names of all fields of an op, as part of a sentence.
func namesOf(op Op) string {
	var names []string
	for f := range fieldsOf(op) {
		names = append(names, f.name)
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// FieldsText is the table for people, each row a line; wrap breaks and indents
// the text of a row.
func FieldsText(wrap func(text string, indent int) string) string {
	const indent = 20
	var b strings.Builder
	for _, op := range []Op{"", Put, Get, Remove} {
		title := string(op)
		if op == "" {
			title = "every line"
		}
		fmt.Fprintf(&b, "%s\n", title)
		for _, f := range fields {
			if f.op != op {
				continue
			}
			text := f.text
			if f.required {
				text = "(required) " + text
			}
			fmt.Fprintf(&b, "  %-*s%s", indent-2, f.name, strings.TrimLeft(wrap(text, indent), " "))
		}
	}
	return b.String()
}

func setID(l *Line, value json.RawMessage) (err error) {
	l.ID, err = textOf("id", value)
	if err == nil && (l.ID == "" || len(l.ID) > MaxID) {
		err = badf("id has 1 to %d bytes, not %d", MaxID, len(l.ID))
	}
	return err
}

func setPath(l *Line, value json.RawMessage) (err error) {
	l.Path, err = textOf("path", value)
	switch {
	case err != nil:
		return err
	case l.Path == "":
		return badf("path is empty")
	case l.Path == "-":
		return badf("path is -, which is neither standard input nor standard output here; a file of that name is ./-")
	case strings.ContainsRune(l.Path, 0):
		return badf("path has a zero byte in it")
	}
	return nil
}

func setName(l *Line, value json.RawMessage) (err error) {
	if l.Name, err = textOf("name", value); err == nil {
		err = protocol.CheckName(l.Name)
	}
	return err
}

func setMediaType(l *Line, value json.RawMessage) (err error) {
	if l.MediaType, err = textOf("media_type", value); err == nil {
		err = protocol.CheckMediaType(l.MediaType)
	}
	return err
}

func setMeta(l *Line, value json.RawMessage) error {
	if value[0] != '{' {
		return badf("meta is an object of strings, not %s", typeOf(value))
	}
	var entries map[string]json.RawMessage
	if err := json.Unmarshal(value, &entries); err != nil {
		return badf("meta is not JSON: %v", err)
	}
	l.Meta = make(map[string]string, len(entries))
	for key, text := range entries {
		s, err := textOf("meta."+key, text)
		if err != nil {
			return err
		}
		l.Meta[key] = s
	}
	return protocol.CheckMeta(l.Meta)
}

func setExpires(l *Line, value json.RawMessage) (err error) {
	l.Expires, err = textOf("expires", value)
	if err == nil && l.Expires == "" {
		err = badf("expires is empty")
	}
	return err
}

func setUID(l *Line, value json.RawMessage) error {
	if t := typeOf(value); t == "a number" {
		return badf("uid is a string, not a number: put it in quotes, since programs round numbers that long")
	}
	text, err := textOf("uid", value)
	if err == nil {
		l.UID, err = protocol.ParseUID(text)
	}
	return err
}

func setIfExists(l *Line, value json.RawMessage) (err error) {
	l.IfExists, err = textOf("if_exists", value)
	if err != nil {
		return err
	}
	switch l.IfExists {
	case "fail", "skip", "overwrite":
		return nil
	}
	return badf("if_exists is fail, skip or overwrite, not %.80q", l.IfExists)
}
