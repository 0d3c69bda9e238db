package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// DecodeRequest reads the JSON object of a request body into the struct that v
// points to (WIRE 1). It is stricter than encoding/json, which would guess: a
// field the struct does not have, in exactly its spelling, is KindUnknownField;
// KindBadRequest is anything but one object, bytes after it, a name given twice
// in an object, a value of another type, and text that is not Unicode (RFC 8259
// sections 4 and 8). A kind that a value itself reports (KindBadUID) is kept.
// On an error what v points to is not to be used. An empty body is an error
// here; where a route allows one its caller looks first.
func DecodeRequest(data []byte, v any) error {
	names, err := CheckObject(data, "the body")
	if err != nil {
		return err
	}
	known := fieldNames(reflect.TypeOf(v).Elem())
	for _, name := range names {
		if !known[name] {
			return &Error{Kind: KindUnknownField, Message: fmt.Sprintf("this request has no field %.80q; nothing was done", name),
				Hint: "Look for a spelling mistake, or for a newer daemon that knows the field."}
		}
	}
	if err := json.Unmarshal(data, v); err != nil {
		return badJSON(err, "the body")
	}
	return nil
}

// CheckObject accepts the text of one JSON object, as strictly as DecodeRequest
// does, and gives the names of its members in order. Anything else is
// KindBadRequest; what is how the message calls the text.
func CheckObject(data []byte, what string) ([]string, error) {
	if !utf8.Valid(data) {
		return nil, Errorf(KindBadRequest, "%s is not UTF-8", what)
	}
	if err := json.Unmarshal(data, new(json.RawMessage)); err != nil {
		return nil, badJSON(err, what)
	}
	if halfSurrogate(data) {
		return nil, Errorf(KindBadRequest, "%s has half a surrogate pair, which is no character", what)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if first, err := dec.Token(); err != nil || first != json.Delim('{') {
		return nil, Errorf(KindBadRequest, "%s is not a JSON object", what)
	}
	return memberNames(dec, what)
}

// badJSON words an error of encoding/json for the reader, and leaves one of
// ours as it is.
func badJSON(err error, what string) error {
	if own, ok := errors.AsType[*Error](err); ok {
		return own
	}
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		digits, number := strings.CutPrefix(t.Value, "number ")
		if number && t.Field == "size" && strings.Trim(digits, "0123456789") == "" {
			return Errorf(KindTooLarge, "no file is that large: %s", t.Value)
		}
		return Errorf(KindBadRequest, "the field %q has a value of the wrong type: %s", t.Field, t.Value)
	}
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		return Errorf(KindBadRequest, "%s is not JSON, at byte %d: %s", what, s.Offset, s.Error())
	}
	return Errorf(KindBadRequest, "%s is not JSON: %s", what, err.Error())
}

// memberNames reads the members of an object whose brace has been read, and
// gives their names in order. A name that comes twice, in this object or in
// one inside it, is KindBadRequest.
func memberNames(dec *json.Decoder, what string) ([]string, error) {
	var names []string
	seen := map[string]bool{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, badJSON(err, what)
		}
		s, _ := name.(string)
		if seen[s] {
			return nil, Errorf(KindBadRequest, "the field %.80q is given twice", s)
		}
		seen[s] = true
		names = append(names, s)
		if err := checkValue(dec, what); err != nil {
			return nil, err
		}
	}
	_, err := dec.Token()
	return names, err
}

// checkValue reads one value and applies memberNames to each object in it.
func checkValue(dec *json.Decoder, what string) error {
	t, err := dec.Token()
	if err != nil {
		return badJSON(err, what)
	}
	switch t {
	case json.Delim('{'):
		_, err = memberNames(dec, what)
		return err
	case json.Delim('['):
		for dec.More() {
			if err := checkValue(dec, what); err != nil {
				return err
			}
		}
		_, err = dec.Token()
		return err
	}
	return nil
}

// halfSurrogate reports whether valid JSON has a \u escape of a surrogate
// without its other half. encoding/json would put U+FFFD in its place.
func halfSurrogate(data []byte) bool {
	for {
		i := bytes.IndexByte(data, '\\')
		if i < 0 {
			return false
		}
		data = data[i:]
		first, ok := escapedUnit(data)
		if !ok {
			data = data[2:]
			continue
		}
		data = data[6:]
		if !utf16.IsSurrogate(first) {
			continue
		}
		second, ok := escapedUnit(data)
		if !ok || utf16.DecodeRune(first, second) == utf8.RuneError {
			return true
		}
		data = data[6:]
	}
}

// escapedUnit is the UTF-16 code unit of the \uXXXX that data begins with.
func escapedUnit(data []byte) (rune, bool) {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(data[2:6]), 16, 16)
	return rune(n), err == nil
}

// fieldNames are the names in JSON of the fields of the struct type t.
func fieldNames(t reflect.Type) map[string]bool {
	names := make(map[string]bool, t.NumField())
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names[name] = true
	}
	return names
}
