package cos_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/store"
)

func TestCheck(t *testing.T) {
	at := func(skew time.Duration, next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(skew).UTC().Format(http.TimeFormat))
			next(w, r)
		}
	}
	empty := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<ListBucketResult></ListBucketResult>"))
	}
	for _, c := range []struct {
		what   string
		answer http.HandlerFunc
		want   error
		says   string
	}{
		{"all is well", empty, nil, ""},
		{"wrong secret", failing(403, "SignatureDoesNotMatch", "x"), store.ErrDenied, "look at secret_key"},
		{"unknown account", failing(403, "InvalidAccessKeyId", "x"), store.ErrDenied, "look at secret_id"},
		{"no permission", failing(403, "AccessDenied", "Access Denied."), store.ErrDenied, "what the account may do"},
		{"no bucket", failing(404, "NoSuchBucket", "x"), store.ErrNoBucket, "look at url"},
		{"another place", failing(301, "PermanentRedirect", "x"), store.ErrRegion, "look at url"},
		{"clock behind", at(2*time.Hour, failing(403, "AccessDenied", "Request has expired")), store.ErrClock, "behind the storage's"},
		{"clock ahead", at(-time.Hour, failing(403, "RequestTimeTooSkewed", "x")), store.ErrClock, "set this machine's clock"},
		{"clock not right", at(10*time.Minute, empty), store.ErrClock, "set this machine's clock"},
		{"not COS", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Del("X-Cos-Request-Id")
			empty(w, r)
		}, store.ErrUnsupported, "at url is not COS"},
	} {
		s := serve(t, c.answer)
		err := s.Check(t.Context())
		wantErr(t, c.what, err, c.want)
		if err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v does not say %q", c.what, err, c.says)
		}
		if len(s.requests()) != 1 || s.requests()[0] != "GET /?encoding-type=url&max-keys=1&prefix=p%2F" {
			t.Errorf("%s: asked %q", c.what, s.requests())
		}
	}
	b := backend(t, "http://127.0.0.1:1") // where nobody listens
	if err := b.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "look at url") {
		t.Errorf("unreachable: %v", err)
	}
}
