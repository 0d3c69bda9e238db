package protocol

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

func TestPatchFile(t *testing.T) {
	at := TimeOf(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC))
	text := "text/plain"
	file := func(change func(*File)) File {
		f := File{UID: 7, Name: "a.txt", MediaType: &text, Meta: map[string]string{"a": "1", "b": "2"}, ExpiresAt: &at}
		change(&f)
		return f
	}
	tests := []struct {
		patch string
		want  File
		kind  Kind
	}{
		{`{}`, file(func(*File) {}), ""},
		{`{"name":"b.txt"}`, file(func(f *File) { f.Name = "b.txt" }), ""},
		{`{"media_type":null,"expires_at":null}`, file(func(f *File) { f.MediaType, f.ExpiresAt = nil, nil }), ""},
		{`{"expires_at":"2027-01-01T00:00:00Z"}`, file(func(f *File) {
			later := TimeOf(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))
			f.ExpiresAt = &later
		}), ""},
		{`{"meta":{"a":null,"b":"3","c":"4"}}`, file(func(f *File) { f.Meta = map[string]string{"b": "3", "c": "4"} }), ""},
		{`{"meta":{"a":null,"b":null}}`, file(func(f *File) { f.Meta = map[string]string{} }), ""},
		{`{"meta":null}`, file(func(f *File) { f.Meta = nil }), ""},
		{`{"name":null}`, File{}, KindBadName},
		{`{"name":".."}`, File{}, KindBadName},
		{`{"name":7}`, File{}, KindBadRequest},
		{`{"media_type":"text"}`, File{}, KindBadRequest},
		{`{"meta":{"not a key":"1"}}`, File{}, KindBadRequest},
		{`{"meta":{"a":1}}`, File{}, KindBadRequest},
		{`{"expires_at":"tomorrow"}`, File{}, KindBadRequest},
		{`{"uid":"8"}`, File{}, KindUnknownField},
		{`{"size":8}`, File{}, KindUnknownField},
	}
	for _, tt := range tests {
		var p PatchFile
		before := file(func(*File) {})
		err := DecodeRequest([]byte(tt.patch), &p)
		var got File
		if err == nil {
			got, err = p.Apply(before)
		}
		if KindOf(err) != tt.kind || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, %v, want %+v, %q", tt.patch, got, err, tt.want, tt.kind)
		}
		if !reflect.DeepEqual(before, file(func(*File) {})) {
			t.Errorf("%s changed the file it was applied to", tt.patch)
		}
	}
}

func TestPatchFileMarshals(t *testing.T) {
	for want, p := range map[string]PatchFile{
		`{}`:                              {},
		`{"name":"b","media_type":null}`:  {Name: ChangeTo("b"), MediaType: Change[string]{Given: true}},
		`{"meta":{"a":null}}`:             {Meta: ChangeTo(map[string]*string{"a": nil})},
		`{"meta":null,"expires_at":null}`: {Meta: Change[map[string]*string]{Given: true}, ExpiresAt: Change[Time]{Given: true}},
	} {
		if got, err := json.Marshal(p); string(got) != want || err != nil {
			t.Errorf("%s, %v, want %s", got, err, want)
		}
	}
}
