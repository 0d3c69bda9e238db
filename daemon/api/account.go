package api

import (
	"log/slog"
	"net/http"
	"slices"
	"time"
)

// abandon ends a call that is not accounted for.
func (c *call) abandon() {
	c.cancel(nil)
	c.srv.met.InFlight(-1)
	c.countPeers(-1)
	c.srv.active.end()
}

// finish ends the call: its context, its log line, its metrics. The line holds
// the route, never the query, which may hold a capability, and of a token the
// id alone.
func (c *call) finish() {
	took := time.Since(c.start)
	h := &c.http.Request.Header
	route := string(c.match.name)
	if route == "" {
		route = "none"
	}
	method := methodLabel(string(h.Method()))
	attrs := []slog.Attr{
		slog.String("method", method), slog.String("route", route), slog.Int("status", c.status),
		slog.Int64("bytes_in", c.body.got), slog.Int64("bytes_out", c.sent),
		slog.Float64("dur_ms", float64(took.Microseconds())/1000),
		slog.String("request_id", c.id), slog.String("remote", c.http.RemoteAddr().String()),
		c.traceID(), slog.String("span_id", c.trace.SpanID()),
	}
	if c.caller.Owner != "" {
		attrs = append(attrs, slog.String("owner", string(c.caller.Owner)))
	}
	if c.caller.TokenID != "" {
		attrs = append(attrs, slog.String("token", c.caller.TokenID))
	}
	if c.grant != nil {
		c.uid = c.grant.UID
		attrs = append(attrs, slog.Bool("link", true))
	}
	if c.uid != 0 {
		attrs = append(attrs, slog.String("uid", c.uid.String()))
	}
	if c.from != nil {
		attrs = append(attrs, slog.String("from_node", string(c.from.From)))
	}
	if c.handedTo != nil {
		attrs = append(attrs, slog.String("handed_to", string(c.handedTo.Node)))
	}
	if c.kind != "" {
		attrs = append(attrs, slog.String("code", string(c.kind)))
		c.srv.met.Failed(c.kind)
	}
	if c.cut {
		attrs = append(attrs, slog.Bool("cut", true))
	}
	level := slog.LevelInfo
	if c.match.name == routePing && c.kind == "" {
		level = slog.LevelDebug // each node sends some every second
	}
	c.srv.log.LogAttrs(c.ctx, level, "request", attrs...)
	c.srv.met.Request(method, route, c.status, took)
	c.srv.met.Received(c.body.got)
	c.srv.met.Sent(c.sent)
	c.countServed()
	c.abandon()
}

func methodLabel(m string) string {
	known := []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}
	if slices.Contains(known, m) {
		return m
	}
	return "other"
}
