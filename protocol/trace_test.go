package protocol

import (
	"strings"
	"testing"
)

const aTraceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// TestTraceparent is the standard's table (W3C Trace Context, section 3.2).
func TestTraceparent(t *testing.T) {
	for field, want := range map[string]string{
		aTraceparent: aTraceparent,
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00":      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03":      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff":      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03",
		"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01":      aTraceparent,
		"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more": aTraceparent,
		"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-":     aTraceparent,
		"":                                "",
		"00":                              "",
		aTraceparent[:54]:                 "",
		aTraceparent + "0":                "",
		aTraceparent + "-":                "",
		aTraceparent + "-00":              "",
		" " + aTraceparent:                "",
		aTraceparent + " ":                "",
		aTraceparent + "," + aTraceparent: "",
		"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more": "",
		"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01":      "",
		"0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01":      "",
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01":      "",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01":      "",
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01":      "",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00F067AA0BA902B7-01":      "",
		"00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01":      "",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g":      "",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0A":      "",
		"00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01":      "",
		"00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01":      "",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01":      "",
		"00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01":      "",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\x00":  "",
		"00-4bf92f3577b34da6a3ce929d0e0e473\xff-00f067aa0ba902b7-01":   "",
		strings.Repeat("0", 55): "",
	} {
		got := ParseTraceparent(field)
		if got.IsZero() != (want == "") || want != "" && got.String() != want {
			t.Errorf("%q is read as %s, want %q", field, got, want)
		}
	}
}

// TestTraces: who sends a request on is another caller of the same work.
func TestTraces(t *testing.T) {
	a := NewTrace()
	b, other := a.Child(), NewTrace()
	if a.ID != b.ID || a.Flags != b.Flags || a.Span == b.Span || a.ID == other.ID || ParseTraceparent(b.String()) != b {
		t.Errorf("%s has the child %s; another is %s", a, b, other)
	}
	if got := TraceOf(WithTrace(t.Context(), a)); got != a || !TraceOf(t.Context()).IsZero() {
		t.Errorf("the context has %s", got)
	}
}

// FuzzTraceparent: what is read is what is sent on, and was there.
func FuzzTraceparent(f *testing.F) {
	f.Add(aTraceparent)
	f.Fuzz(func(t *testing.T, field string) {
		got := ParseTraceparent(field)
		if got.IsZero() {
			if got != (Trace{}) {
				t.Errorf("%q is read as half of one: %+v", field, got)
			}
			return
		}
		s := got.String()
		if ParseTraceparent(s) != got || s[2:53] != field[2:53] || got.Span == [8]byte{} {
			t.Errorf("%q is sent on as %q", field, s)
		}
	})
}
