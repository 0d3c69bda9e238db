package protocol

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDecodeRequest(t *testing.T) {
	size, fp := int64(5), Fingerprint{15: 1}
	at := TimeOf(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC))
	text := "text/plain"
	tests := map[string]BeginUpload{
		`{"name":"a"}`:              {Name: "a"},
		" {\n\"name\":\"a\"}\t\r\n": {Name: "a"},
		`{}`:                        {},
		`{"name":"a","size":null,"size_hint":null,"fingerprint":null,"media_type":null,"meta":null,"expires_at":null,"resume":null}`: {Name: "a"},
		`{"name":"a","size":5,"size_hint":5,"fingerprint":"00000000000000000000000000000001","media_type":"text/plain","meta":{"k":"v"},"expires_at":"2026-11-22T10:00:00.000Z","resume":true}`: {
			"a", &size, &size, &fp, &text, map[string]string{"k": "v"}, &at, true},
		`{"name":"\ud83d\ude00\u00e9"}`: {Name: "😀é"},
		`{"name":"\\ud800"}`:            {Name: `\ud800`},
		`{"n\u0061me":"a"}`:             {Name: "a"},
	}
	for in, want := range tests {
		var got BeginUpload
		if err := DecodeRequest([]byte(in), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v, want %+v", in, got, err, want)
		}
	}
}

func TestDecodeRequestRefuses(t *testing.T) {
	tests := []struct {
		body string
		kind Kind
		says string
	}{
		{``, KindBadRequest, "not JSON"},
		{` `, KindBadRequest, "not JSON"},
		{`null`, KindBadRequest, "not a JSON object"},
		{`[]`, KindBadRequest, "not a JSON object"},
		{`"name"`, KindBadRequest, "not a JSON object"},
		{`1`, KindBadRequest, "not a JSON object"},
		{`{`, KindBadRequest, "not JSON"},
		{`{"name":"a"`, KindBadRequest, "not JSON"},
		{`{"name":"a",}`, KindBadRequest, "not JSON, at byte 13"},
		{`{name:"a"}`, KindBadRequest, "not JSON"},
		{`{"name":"a"}{}`, KindBadRequest, "not JSON"},
		{`{"name":"a"} x`, KindBadRequest, "not JSON"},
		{`{"name":"a"}` + "\x00", KindBadRequest, "not JSON"},
		{"\uFEFF" + `{"name":"a"}`, KindBadRequest, "not JSON"},
		{`{"name":"a","name":"b"}`, KindBadRequest, `"name" is given twice`},
		{`{"name":"a","n\u0061me":"b"}`, KindBadRequest, `"name" is given twice`},
		{`{"meta":{"k":"1","k":"2"}}`, KindBadRequest, `"k" is given twice`},
		{`{"nmae":"a"}`, KindUnknownField, `"nmae"`},
		{`{"Name":"a"}`, KindUnknownField, `"Name"`},
		{`{"name":"a","":1}`, KindUnknownField, `""`},
		{`{"name":"a","zip":{"deep":[{}]}}`, KindUnknownField, `"zip"`},
		{`{"name":7}`, KindBadRequest, `"name" has a value of the wrong type: number`},
		{`{"name":{}}`, KindBadRequest, `"name"`},
		{`{"size":"5"}`, KindBadRequest, `"size"`},
		{`{"size":5.0}`, KindBadRequest, `"size"`},
		{`{"size":5e1}`, KindBadRequest, `"size"`},
		{`{"size":9223372036854775808}`, KindTooLarge, `9223372036854775808`},
		{`{"resume":"true"}`, KindBadRequest, `"resume"`},
		{`{"meta":{"k":1}}`, KindBadRequest, `"meta`},
		{`{"meta":[]}`, KindBadRequest, `"meta"`},
		{`{"fingerprint":"00"}`, KindBadRequest, "is not a fingerprint"},
		{`{"fingerprint":0}`, KindBadRequest, `"fingerprint"`},
		{`{"expires_at":"tomorrow"}`, KindBadRequest, "is not a time"},
		{`{"expires_at":1}`, KindBadRequest, "a time is a string"},
		{`{"name":"` + "\xFF" + `"}`, KindBadRequest, "not UTF-8"},
		{`{"name":"\ud800"}`, KindBadRequest, "half a surrogate pair"},
		{`{"name":"\udc00\ud800"}`, KindBadRequest, "half a surrogate pair"},
		{`{"name":"\ud800\u0041"}`, KindBadRequest, "half a surrogate pair"},
		{`{"name":"\ud800x"}`, KindBadRequest, "half a surrogate pair"},
		{`{"name":"\\\ud800"}`, KindBadRequest, "half a surrogate pair"},
		{`{"meta":` + strings.Repeat("[", 20_000), KindBadRequest, "not JSON"},
		{`{"meta":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + "}", KindBadRequest, "depth"},
	}
	for _, tt := range tests {
		var v BeginUpload
		e, ok := errors.AsType[*Error](DecodeRequest([]byte(tt.body), &v))
		if !ok || e.Kind != tt.kind || !strings.Contains(e.Message, tt.says) {
			t.Errorf("%.80s: %+v, want %s: …%s…", tt.body, e, tt.kind, tt.says)
		}
	}
}

func TestDecodeRequestKeepsTheKindOfAValue(t *testing.T) {
	var v struct {
		UID UID `json:"uid"`
	}
	if err := DecodeRequest([]byte(`{"uid":"07"}`), &v); KindOf(err) != KindBadUID {
		t.Errorf("%v, want %s", err, KindBadUID)
	}
	if err := DecodeRequest([]byte(`{"uid":7}`), &v); KindOf(err) != KindBadRequest {
		t.Errorf("%v, want %s", err, KindBadRequest)
	}
}

// Whatever a client sends comes back as it was read.
func TestDecodeRequestReadsWhatIsMarshalled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := BeginUpload{
			Name:     rapid.String().Draw(t, "name"),
			Size:     rapid.Ptr(rapid.Int64(), true).Draw(t, "size"),
			SizeHint: rapid.Ptr(rapid.Int64(), true).Draw(t, "hint"),
			Meta:     rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "meta"),
			Resume:   rapid.Bool().Draw(t, "resume"),
		}
		data, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got BeginUpload
		if err := DecodeRequest(data, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: %+v, %v", data, got, err)
		}
	})
}

func FuzzDecodeRequest(f *testing.F) {
	for _, s := range []string{``, `{}`, `null`, `{"name":"a","size":1,"meta":{"k":"v"}}`, `{"name":"\ud800"}`, `{"a":1,"a":2}`, `{"x":[{"y":1}]}`, `{"items":[{"size":1,"fingerprint":"00000000000000000000000000000000"}]}`, `{"items":[{"size":1,"x":0}]}`, `{"name":"a"}{}`, `\u`, `"\u`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, v := range []any{new(BeginUpload), new(CommitUpload), new(Claim), new(CreateToken), new(Probe)} {
			err := DecodeRequest(data, v)
			if k := KindOf(err); err != nil && k != KindBadRequest && k != KindUnknownField && k != KindTooLarge {
				t.Errorf("%q: %v", data, err)
			}
			if err == nil && !json.Valid(data) {
				t.Errorf("%q is not JSON and was read", data)
			}
		}
	})
}
