package oss_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/e2e/front"
	"github.com/osproxy/osproxy/e2e/front/oss"
)

// published is the account and the bucket of the requests that Aliyun's own
// SDKs have as vectors in their tests (SignerV4Tests).
var published = oss.Vendor{Bucket: "bucket", Region: "cn-hangzhou", AccessKeyID: "ak", AccessKeySecret: "sk"}

// vector is one of these requests.
func vector(date, additional, signature string) *http.Request {
	r := httptest.NewRequest(http.MethodPut, "/1234%2B-/123/1.txt?param1=value1&%7Cparam1=value4&%2Bparam1=value3&%7Cparam2=&%2Bparam2&param2", nil)
	r.Host = "bucket.oss-cn-hangzhou.aliyuncs.com"
	for k, v := range map[string]string{
		"x-oss-head1": "value", "abc": "value", "ZAbc": "value", "XYZ": "value", "content-type": "text/plain",
		"x-oss-content-sha256": "UNSIGNED-PAYLOAD", "x-oss-date": date,
		"Authorization": "OSS4-HMAC-SHA256 Credential=ak/" + date[:8] + "/cn-hangzhou/oss/aliyun_v4_request," + additional + "Signature=" + signature,
	} {
		r.Header.Set(k, v)
	}
	return r
}

func at(t *testing.T, date string) time.Time {
	t.Helper()
	now, err := time.Parse("20060102T150405Z", date)
	if err != nil {
		t.Fatal(err)
	}
	return now
}

const (
	plainDate = "20231216T162057Z"
	plainSum  = "e21d18daa82167720f9b1047ae7e7f1ce7cb77a31e8203a7d5f4624fa0284afe"
)

func TestPublishedSignatures(t *testing.T) {
	token := vector("20231217T034736Z", "", "b94a3f999cf85bcdc00d332fbd3734ba03e48382c36fa4d5af5df817395bd9ea")
	token.Header.Set("x-oss-security-token", "token")
	for name, r := range map[string]*http.Request{
		"plain":              vector(plainDate, "", plainSum),
		"with a token":       token,
		"additional headers": vector("20231216T172512Z", "AdditionalHeaders=abc;zabc,", "4a4183c187c07c8947db7620deb0a6b38d9fbdd34187b6dbaccb316fa251212f"),
	} {
		if err := published.Verify(r, at(t, r.Header.Get("x-oss-date")).Add(time.Minute)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWrongSignatures(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		code   string
		change func(*http.Request)
	}{
		"another method":            {403, "SignatureDoesNotMatch", func(r *http.Request) { r.Method = http.MethodGet }},
		"another object":            {403, "SignatureDoesNotMatch", func(r *http.Request) { r.URL.Path = "/1234+-/123/2.txt" }},
		"another bucket":            {403, "SignatureDoesNotMatch", func(r *http.Request) { r.Host = "tubket.oss-cn-hangzhou.aliyuncs.com" }},
		"another query":             {403, "SignatureDoesNotMatch", func(r *http.Request) { r.URL.RawQuery += "&more" }},
		"one query less":            {403, "SignatureDoesNotMatch", func(r *http.Request) { r.URL.RawQuery = "param1=value1" }},
		"another header of OSS":     {403, "SignatureDoesNotMatch", func(r *http.Request) { r.Header.Set("x-oss-head2", "value") }},
		"another media type":        {403, "SignatureDoesNotMatch", func(r *http.Request) { r.Header.Set("content-type", "text/html") }},
		"an MD5":                    {403, "SignatureDoesNotMatch", func(r *http.Request) { r.Header.Set("content-md5", "x") }},
		"another sum":               {403, "SignatureDoesNotMatch", edit(plainSum, strings.Repeat("0", 64))},
		"no additional header":      {403, "SignatureDoesNotMatch", edit(",Signature", ",AdditionalHeaders=abc,Signature")},
		"unsorted headers":          {400, "InvalidArgument", edit(",Signature", ",AdditionalHeaders=zabc;abc,Signature")},
		"another key":               {403, "InvalidAccessKeyId", edit("=ak/", "=ka/")},
		"another region":            {400, "InvalidArgument", edit("cn-hangzhou", "cn-beijing")},
		"another day":               {400, "InvalidArgument", edit("20231216", "20231217")},
		"another service":           {400, "InvalidArgument", edit("/oss/", "/s3/")},
		"another end":               {400, "InvalidArgument", edit("aliyun_v4_request", "aws4_request")},
		"no credential":             {400, "InvalidArgument", edit("Credential", "Identity")},
		"the same twice":            {400, "InvalidArgument", edit(",Signature", ",Signature=x,Signature")},
		"no payload":                {400, "InvalidArgument", func(r *http.Request) { r.Header.Del("x-oss-content-sha256") }},
		"no date":                   {403, "AccessDenied", func(r *http.Request) { r.Header.Del("x-oss-date") }},
		"no authorization":          {403, "AccessDenied", func(r *http.Request) { r.Header.Del("Authorization") }},
		"a signature of version 1":  {403, "AccessDenied", func(r *http.Request) { r.Header.Set("Authorization", "OSS ak:sum") }},
		"a signature of version 2":  {403, "AccessDenied", func(r *http.Request) { r.Header.Set("Authorization", "OSS2 AccessKeyId:ak,Signature:sum") }},
		"a signature of S3":         {400, "InvalidArgument", edit("OSS4-HMAC-SHA256", "AWS4-HMAC-SHA256")},
		"a secret that is not ours": {403, "SignatureDoesNotMatch", nil},
	} {
		r, v := vector(plainDate, "", plainSum), published
		if c.change != nil {
			c.change(r)
		} else {
			v.AccessKeySecret = "ks"
		}
		wantRefusal(t, name, v.Verify(r, at(t, plainDate)), c.status, c.code)
	}
}

func edit(from, to string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), from, to, 1))
	}
}

func wantRefusal(t *testing.T, what string, err error, status int, code string) {
	t.Helper()
	var e *front.Error
	if !errors.As(err, &e) || e.Status != status || e.Code != code {
		t.Errorf("%s: %v, want %d %s", what, err, status, code)
	}
}

func TestClocksMayDifferByQuarterOfAnHour(t *testing.T) {
	now := at(t, plainDate)
	for _, d := range []time.Duration{-15 * time.Minute, 15 * time.Minute} {
		if err := published.Verify(vector(plainDate, "", plainSum), now.Add(d)); err != nil {
			t.Errorf("%v: %v", d, err)
		}
		err := published.Verify(vector(plainDate, "", plainSum), now.Add(d).Add(d/900))
		wantRefusal(t, "a second more", err, http.StatusForbidden, "RequestTimeTooSkewed")
	}
}

// TestHeadersAreSignedByName: a header whose name begins with another's comes
// after it, which it would not where lines are sorted.
func TestHeadersAreSignedByName(t *testing.T) {
	r := vector(plainDate, "", plainSum)
	r.Header.Set("x-oss-copy-source", "/bucket/source")
	r.Header.Set("x-oss-copy-source-range", "bytes=0-9")
	text := oss.CanonicalRequest(r, "bucket", "key", nil)
	if !strings.Contains(text, "x-oss-copy-source:/bucket/source\nx-oss-copy-source-range:bytes=0-9\n") {
		t.Errorf("signed: %q", text)
	}
}
