package protocol

import (
	"context"
	"crypto/rand"
	"encoding/hex"
)

// HeaderTraceparent carries a Trace (W3C Trace Context, version 00).
const HeaderTraceparent = "Traceparent"

// Trace says of which piece of work a request is part, and who asked for it. It
// shows in logs on all sides and decides nothing.
type Trace struct {
	// ID is the same for all requests of that work. The zero Trace, without one,
	// is none.
	ID [16]byte
	// Span is the caller: one request, one command.
	Span [8]byte
	// Flags are sampled (1) and random (2), as the first who made the Trace set
	// them.
	Flags byte
}

const (
	traceparentLength = len("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	traceFlags        = 0x03
)

// ParseTraceparent reads the field, and gives the zero Trace where it is not as
// the standard has it. Of a version to come it reads what version 00 has.
func ParseTraceparent(s string) Trace {
	var version, flags [1]byte
	var t Trace
	longer := len(s) > traceparentLength
	if len(s) < traceparentLength || longer && s[traceparentLength] != '-' {
		return Trace{}
	}
	for _, field := range []struct {
		into []byte
		at   int
		end  bool
	}{{version[:], 0, false}, {t.ID[:], 3, false}, {t.Span[:], 36, false}, {flags[:], 53, true}} {
		end := field.at + 2*len(field.into)
		if !lowerHex(field.into, s[field.at:end]) || !field.end && s[end] != '-' {
			return Trace{}
		}
	}
	if version[0] == 0xff || version[0] == 0 && longer || t.ID == [16]byte{} || t.Span == [8]byte{} {
		return Trace{}
	}
	t.Flags = flags[0] & traceFlags
	return t
}

// lowerHex decodes hex digits, of which the standard allows small ones alone.
func lowerHex(into []byte, s string) bool {
	for _, c := range []byte(s) {
		if c >= 'A' && c <= 'F' {
			return false
		}
	}
	_, err := hex.Decode(into, []byte(s))
	return err == nil
}

// NewTrace begins one.
func NewTrace() Trace {
	t := Trace{Flags: 0x02}
	rand.Read(t.ID[:]) // never fails (crypto/rand); 0 is not drawn
	return t.Child()
}

// Child is the Trace with a caller of its own: what is sent on.
func (t Trace) Child() Trace {
	rand.Read(t.Span[:])
	return t
}

// IsZero says that there is none.
func (t Trace) IsZero() bool { return t.ID == [16]byte{} }

// String is the field.
func (t Trace) String() string {
	return "00-" + t.TraceID() + "-" + t.SpanID() + "-" + hex.EncodeToString([]byte{t.Flags})
}

// TraceID is what logs call the Trace.
func (t Trace) TraceID() string { return hex.EncodeToString(t.ID[:]) }

// SpanID is what logs call its caller.
func (t Trace) SpanID() string { return hex.EncodeToString(t.Span[:]) }

type traceKey struct{}

// WithTrace is a context whose requests are part of t.
func WithTrace(ctx context.Context, t Trace) context.Context {
	return context.WithValue(ctx, traceKey{}, t)
}

// TraceOf is the Trace of the context, the zero Trace where it has none.
func TraceOf(ctx context.Context) Trace {
	t, _ := ctx.Value(traceKey{}).(Trace)
	return t
}
