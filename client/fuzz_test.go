package client

import (
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// FuzzAnswerError: whatever an answer says that is no success, it is an error of
// a kind that crosses the wire; and one that is not in the daemon's form never
// says that a file or an upload is gone.
func FuzzAnswerError(f *testing.F) {
	f.Fuzz(func(t *testing.T, status int, contentType, after, body string) {
		resp := &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {contentType}, "Retry-After": {after}},
			Body: io.NopCloser(strings.NewReader(body))}
		e, ok := errors.AsType[*protocol.Error](answerError(t.Context(), "test", resp))
		if !ok || e.Kind.Row().Status == 0 || e.Error() == "" {
			t.Fatalf("%d %q %q: %+v", status, contentType, body, e)
		}
		if e.RetryAfter < 0 || e.RetryAfter > maxRetryAfter {
			t.Errorf("%d, Retry-After %q: wait %s", status, after, e.RetryAfter)
		}
		if _, ours := problemOf(resp.Header, []byte(body)); ours {
			return
		}
		switch e.Kind {
		case protocol.KindInternal, protocol.KindUnavailable, protocol.KindUnauthenticated, protocol.KindForbidden,
			protocol.KindTooLarge, protocol.KindRateLimited:
		default:
			t.Errorf("%d %q %q: %s is believed of a stranger", status, contentType, body, e.Kind)
		}
	})
}

// FuzzContentRange: only an answer of just the bytes that were asked for is
// taken.
func FuzzContentRange(f *testing.F) {
	f.Fuzz(func(t *testing.T, field string, length, off, n int64) {
		if off < 0 || n < 1 || off+n < off {
			return
		}
		resp := &http.Response{StatusCode: http.StatusPartialContent, ContentLength: length, Header: http.Header{"Content-Range": {field}}}
		wrong := wrongRange(resp, off, n)
		form := regexp.MustCompile(fmt.Sprintf(`\Abytes %d-%d/(\*|[0-9]{1,19})\z`, off, off+n-1))
		m := form.FindStringSubmatch(field)
		right := m != nil && length == n
		if right && m[1] != "*" {
			total, ok := new(big.Int).SetString(m[1], 10)
			right = ok && total.Cmp(big.NewInt(off+n)) >= 0
		}
		if wrong == "" && !right {
			t.Errorf("bytes %d-%d: %q of %d bytes is taken", off, off+n-1, field, length)
		}
		exact := fmt.Sprintf("bytes %d-%d/%d", off, off+n-1, off+n)
		resp.Header.Set("Content-Range", exact)
		resp.ContentLength = n
		if wrong := wrongRange(resp, off, n); wrong != "" {
			t.Errorf("%q is not taken: %s", exact, wrong)
		}
	})
}
