package api

import (
	"log/slog"

	"github.com/valyala/fasthttp"

	"github.com/osproxy/osproxy/protocol"
)

// traceOf is the trace that a request is part of, with this daemon as its next
// caller. One that has none, or whose field is not as the standard has it, begins
// one. No answer tells of it: the standard has no field for that, and the caller
// knows it, or has X-Request-Id.
func traceOf(h *fasthttp.RequestHeader) protocol.Trace {
	fields := h.PeekAll(protocol.HeaderTraceparent)
	if len(fields) == 1 {
		if t := protocol.ParseTraceparent(string(fields[0])); !t.IsZero() {
			return t.Child()
		}
	}
	return protocol.NewTrace()
}

// traceID is what lines of the log have of the trace.
func (c *call) traceID() slog.Attr {
	return slog.String("trace_id", c.trace.TraceID())
}
