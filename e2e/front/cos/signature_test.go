package cos_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/e2e/front"
	"github.com/osproxy/osproxy/e2e/front/cos"
)

// documented is the account, the bucket and the requests that Tencent's page
// "Request Signature" signs as examples.
var documented = cos.Vendor{
	Bucket: "examplebucket-1250000000", Region: "ap-beijing",
	SecretID: "AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q", SecretKey: "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz",
}

func documentedPut(ctx context.Context) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodPut, "/exampleobject(%E8%85%BE%E8%AE%AF%E4%BA%91)", strings.NewReader("ObjectContent"))
	r.Host = documented.Host()
	for k, v := range map[string]string{
		"Date": "Thu, 16 May 2019 06:45:51 GMT", "Content-Type": "text/plain", "Content-MD5": "mQ/fVh815F3k6TAUm8m0eg==",
		"x-cos-acl": "private", "x-cos-grant-read": `uin="100000000011"`,
		"Authorization": "q-sign-algorithm=sha1&q-ak=AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q&q-sign-time=1557989151;1557996351&q-key-time=1557989151;1557996351" +
			"&q-header-list=content-length;content-md5;content-type;date;host;x-cos-acl;x-cos-grant-read&q-url-param-list=&q-signature=3b8851a11a569213c17ba8fa7dcf2abec6935172",
	} {
		r.Header.Set(k, v)
	}
	return r
}

func documentedGet(ctx context.Context) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet,
		"/exampleobject(%E8%85%BE%E8%AE%AF%E4%BA%91)?response-content-type=application%2Foctet-stream&response-cache-control=max-age%3D600", nil)
	r.Host = documented.Host()
	r.Header.Set("Date", "Thu, 16 May 2019 06:55:53 GMT")
	r.Header.Set("Authorization", "q-sign-algorithm=sha1&q-ak=AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q&q-sign-time=1557989753;1557996953&q-key-time=1557989753;1557996953"+
		"&q-header-list=date;host&q-url-param-list=response-cache-control;response-content-type&q-signature=01681b8c9d798a678e43b685a9f1bba0f6c0e012")
	return r
}

// then is when the documented requests were signed, about.
var then = time.Unix(1557989800, 0)

func TestDocumentedSignatures(t *testing.T) {
	for _, r := range []*http.Request{documentedPut(t.Context()), documentedGet(t.Context())} {
		if err := documented.Verify(r, then); err != nil {
			t.Errorf("%s: %v", r.Method, err)
		}
	}
}

func TestWrongSignatures(t *testing.T) {
	authorization := func(old, with string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, with, 1))
		}
	}
	for _, c := range []struct {
		what   string
		change func(*http.Request)
		now    time.Time
		status int
		code   string
	}{
		{"none", func(r *http.Request) { r.Header.Del("Authorization") }, then, 403, "AccessDenied"},
		{"another method", func(r *http.Request) { r.Method = http.MethodHead }, then, 403, "SignatureDoesNotMatch"},
		{"another key", func(r *http.Request) { r.URL.Path += "x" }, then, 403, "SignatureDoesNotMatch"},
		{"another host", func(r *http.Request) { r.Host = "other" }, then, 403, "SignatureDoesNotMatch"},
		{"another header", func(r *http.Request) { r.Header.Set("Date", "Thu, 16 May 2019 06:45:52 GMT") }, then, 403, "SignatureDoesNotMatch"},
		{"a header less", func(r *http.Request) { r.Header.Del("Date") }, then, 403, "SignatureDoesNotMatch"},
		{"another query", func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "600", "601", 1) }, then, 403, "SignatureDoesNotMatch"},
		{"another signature", authorization("q-signature=0", "q-signature=1"), then, 403, "SignatureDoesNotMatch"},
		{"unknown account", authorization("q-ak=A", "q-ak=B"), then, 403, "InvalidAccessKeyId"},
		{"without the host", authorization("date;host", "date"), then, 403, "AccessDenied"},
		{"another algorithm", authorization("sha1", "sha256"), then, 400, "InvalidArgument"},
		{"a field less", authorization("q-url-param-list=response-cache-control;response-content-type&", ""), then, 400, "InvalidArgument"},
		{"a field more", authorization("q-ak", "q=1&q-ak"), then, 400, "InvalidArgument"},
		{"no time", authorization("1557989753;", ""), then, 400, "InvalidArgument"},
		{"expired", func(*http.Request) {}, time.Unix(1557996954, 0), 403, "AccessDenied"},
		{"from the future", func(*http.Request) {}, time.Unix(1557989753-901, 0), 403, "RequestTimeTooSkewed"},
	} {
		r := documentedGet(t.Context())
		c.change(r)
		wantRefused(t, c.what, documented.Verify(r, c.now), c.status, c.code)
	}
	wrong := documented
	wrong.SecretKey = "another"
	wantRefused(t, "another secret", wrong.Verify(documentedPut(t.Context()), then), 403, "SignatureDoesNotMatch")
}

func wantRefused(t *testing.T, what string, err error, status int, code string) {
	t.Helper()
	var e *front.Error
	if !errors.As(err, &e) || e.Status != status || e.Code != code {
		t.Errorf("%s: %v, want %d %s", what, err, status, code)
	}
	if err != nil && strings.Contains(err.Error(), documented.SecretKey) {
		t.Errorf("%s: the secret is told: %v", what, err)
	}
}
