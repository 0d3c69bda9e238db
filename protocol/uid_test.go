package protocol

import (
	"encoding/json"
	"math"
	"regexp"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseUID(t *testing.T) {
	for s, want := range map[string]UID{"1": 1, "9": 9, "10": 10, "9223372036854775807": math.MaxInt64} {
		if got, err := ParseUID(s); got != want || err != nil {
			t.Errorf("%q: %d, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "0", "00", "01", "-1", "+1", " 1", "1 ", "1\n", "1.0", "1e3", "0x1", "1_0", "１", "uid",
		"10000000000000000000", "18446744073709551615", "\x00", "1\x00"} {
		if got, err := ParseUID(s); got != 0 || KindOf(err) != KindBadUID {
			t.Errorf("%q: %d, %v, want %s", s, got, err, KindBadUID)
		}
	}
	for _, s := range []string{"9223372036854775808", "9999999999999999999"} {
		if got, err := ParseUID(s); got != 0 || KindOf(err) != KindNotFound {
			t.Errorf("%q: %d, %v, want %s", s, got, err, KindNotFound)
		}
	}
}

func TestParseUIDReadsString(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := UID(rapid.Uint64Range(1, math.MaxInt64).Draw(t, "uid"))
		if got, err := ParseUID(id.String()); got != id || err != nil {
			t.Fatalf("%d, %v, want %d", got, err, id)
		}
	})
}

func TestUIDIsAStringInJSON(t *testing.T) {
	type record struct{ UID UID }
	data, err := json.Marshal(record{123})
	if err != nil || string(data) != `{"UID":"123"}` {
		t.Errorf("%s, %v", data, err)
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil || r.UID != 123 {
		t.Errorf("%d, %v", r.UID, err)
	}
	for _, in := range []string{`123`, `"0"`, `"0123"`, `""`, `true`, `"1.5"`, `["1"]`, `{}`} {
		r = record{}
		if err := json.Unmarshal([]byte(`{"UID":`+in+`}`), &r); err == nil {
			t.Errorf("%s was read as %d", in, r.UID)
		}
	}
}

func TestUIDTime(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 0, 0, int(7*time.Millisecond), time.UTC)
	id := UID(at.Sub(Epoch).Milliseconds())<<22 | 1023<<12 | 4095
	if got := id.Time(); !got.Equal(at) {
		t.Errorf("%s, want %s", got, at)
	}
	if got := UID(math.MaxInt64).Time(); got.Year() != 2093 {
		t.Errorf("the last uid is of %s", got)
	}
}

func TestHexIsExact(t *testing.T) {
	const good = "0123456789abcdef0123456789abcdef"
	for _, s := range []string{"", "0", good[1:], good + "0", "0123456789ABCDEF0123456789abcdef", "g" + good[1:], " " + good[1:], good + good} {
		if _, err := ParseXXH3(s); KindOf(err) != KindBadRequest {
			t.Errorf("ParseXXH3(%q): %v", s, err)
		}
		var f Fingerprint
		if err := f.UnmarshalText([]byte(s)); KindOf(err) != KindBadRequest {
			t.Errorf("fingerprint %q: %v", s, err)
		}
	}
	x, err := ParseXXH3(good)
	if err != nil || x.String() != good {
		t.Errorf("%s, %v", x, err)
	}
	d, err := ParseDigest(good + good)
	if err != nil || d.String() != good+good {
		t.Errorf("%s, %v", d, err)
	}
	if _, err := ParseDigest(good); KindOf(err) != KindBadRequest {
		t.Errorf("half a digest: %v", err)
	}
}

func TestTime(t *testing.T) {
	for in, want := range map[string]string{
		`"2026-11-22T10:00:00Z"`:             "2026-11-22T10:00:00.000Z",
		`"2026-11-22T10:00:00.000Z"`:         "2026-11-22T10:00:00.000Z",
		`"2026-11-22T10:00:00.123999999Z"`:   "2026-11-22T10:00:00.123Z",
		`"2026-11-22T18:30:00.5+08:30"`:      "2026-11-22T10:00:00.500Z",
		`"1969-12-31T23:59:59.9999Z"`:        "1969-12-31T23:59:59.999Z",
		`"\u0032026-11-22T10:00:00Z"`:        "2026-11-22T10:00:00.000Z",
		`"9999-12-31T23:59:59.999999+00:00"`: "9999-12-31T23:59:59.999Z",
	} {
		var got Time
		if err := json.Unmarshal([]byte(in), &got); err != nil || got.String() != want {
			t.Errorf("%s: %s, %v, want %s", in, got, err, want)
		}
		if data, err := json.Marshal(got); err != nil || string(data) != `"`+want+`"` {
			t.Errorf("%s: %s, %v", in, data, err)
		}
	}
	for _, in := range []string{`""`, `0`, `null`, `"2026-11-22"`, `"2026-11-22T10:00:00"`, `"2026-11-22 10:00:00Z"`, `"2026-11-22T1:00:00Z"`,
		`"2026-13-22T10:00:00Z"`, `"2026-11-22T10:00:00,5Z"`, `"2026-11-22T25:00:00Z"`, `"9999-12-31T23:59:59-01:00"`, `"0000-01-01T00:00:00+01:00"`, `"10000-01-01T00:00:00Z"`} {
		var got Time
		if err := got.UnmarshalJSON([]byte(in)); KindOf(err) != KindBadRequest {
			t.Errorf("%s: %s, %v, want %s", in, got, err, KindBadRequest)
		}
	}
	a, b := TimeOf(time.Now()), Time{}
	if err := b.UnmarshalText([]byte(a.String())); err != nil || a != b {
		t.Errorf("%v came back as %v, %v", a, b, err)
	}
}

func FuzzParseUID(f *testing.F) {
	for _, s := range []string{"", "0", "1", "01", "9223372036854775807", "9223372036854775808", "-1", "1 "} {
		f.Add(s)
	}
	spelling := regexp.MustCompile(`\A[1-9][0-9]{0,18}\z`)
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseUID(s)
		if err == nil && (id.String() != s || !spelling.MatchString(s)) {
			t.Errorf("%q was read as %s", s, id)
		}
		if kind := KindOf(err); err != nil && (kind == KindNotFound) != spelling.MatchString(s) {
			t.Errorf("%q: %v", s, err)
		}
	})
}
