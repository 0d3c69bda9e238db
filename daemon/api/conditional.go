package api

import (
	"net/http"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/osproxy/osproxy/protocol"
)

// verdict is what the conditions of a request come to.
type verdict int

const (
	serveIt     verdict = iota
	notModified         // 304
	failed              // 412
)

// evaluate applies the conditions in the order of RFC 9110 section 13.2.2 to a
// representation with the given validators. notModified is for GET and HEAD;
// for other methods it is a condition that failed.
func evaluate(h *fasthttp.RequestHeader, etag string, modified time.Time) verdict {
	ifMatch, ifNoneMatch := string(h.Peek("If-Match")), string(h.Peek("If-None-Match"))
	switch {
	case ifMatch != "":
		if !listed(ifMatch, etag, strongMatch) {
			return failed
		}
	default:
		if t, ok := httpTime(string(h.Peek("If-Unmodified-Since"))); ok && seconds(modified).After(t) {
			return failed
		}
	}
	switch {
	case ifNoneMatch != "":
		if listed(ifNoneMatch, etag, weakMatch) {
			return notModified
		}
	default:
		if t, ok := httpTime(string(h.Peek("If-Modified-Since"))); ok && !seconds(modified).After(t) {
			return notModified
		}
	}
	return serveIt
}

// precondition evaluates the conditions of a request that changes the File
// (RFC 9110 section 13.1): one that does not hold is KindPreconditionFailed and
// nothing is changed. The validators of a File never change, so that what held
// here still holds when the change is made.
func (c *call) precondition() error {
	if !c.given("If-Match") && !c.given("If-None-Match") && !c.given("If-Unmodified-Since") {
		return nil
	}
	f, err := c.srv.cfg.Files.File(c.ctx, c.caller.Owner, c.uid)
	if err != nil {
		return err
	}
	if evaluate(&c.http.Request.Header, f.ETag, f.CommittedAt.Time) == serveIt {
		return nil
	}
	return &protocol.Error{Kind: protocol.KindPreconditionFailed, UID: c.uid, Message: "a condition of the request does not hold; nothing was changed"}
}

// rangeApplies evaluates If-Range: the range is for this representation, or
// there is no condition (RFC 9110 section 13.1.5).
func rangeApplies(h *fasthttp.RequestHeader, etag string, modified time.Time) bool {
	field := string(h.Peek("If-Range"))
	if field == "" {
		return true
	}
	if tag, _, ok := cutTag(field); ok {
		return strongMatch(tag, etag)
	}
	t, ok := httpTime(field)
	return ok && seconds(modified).Equal(t)
}

// listed reports whether a list of entity tags has etag, or is "*". A list
// that goes wrong counts up to there.
func listed(field, etag string, match func(a, b string) bool) bool {
	for {
		field = strings.TrimLeft(field, " \t,")
		if field == "" {
			return false
		}
		if field[0] == '*' {
			return true
		}
		tag, rest, ok := cutTag(field)
		if !ok {
			return false
		}
		if match(tag, etag) {
			return true
		}
		field = rest
	}
}

// cutTag takes the entity tag that s begins with.
func cutTag(s string) (tag, rest string, ok bool) {
	s = strings.TrimLeft(s, " \t")
	open := 0
	if strings.HasPrefix(s, "W/") {
		open = 2
	}
	if len(s) < open+2 || s[open] != '"' {
		return "", "", false
	}
	for i := open + 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return s[:i+1], s[i+1:], true
		case c != '!' && (c < '#' || c == 0x7f):
			return "", "", false
		}
	}
	return "", "", false
}

func strongMatch(a, b string) bool { return a == b && a != "" && a[0] == '"' }

func weakMatch(a, b string) bool { return strings.TrimPrefix(a, "W/") == strings.TrimPrefix(b, "W/") }

// httpTime reads a date; one that cannot be read is as good as none.
func httpTime(s string) (time.Time, bool) {
	if s == "" {
		return time.Time{}, false
	}
	t, err := http.ParseTime(s)
	return t, err == nil
}

// seconds cuts t to what an HTTP date carries.
func seconds(t time.Time) time.Time { return t.Truncate(time.Second) }
