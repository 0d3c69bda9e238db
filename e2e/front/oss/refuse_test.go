package oss_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sdk "github.com/aliyun/aliyun-oss-go-sdk/oss"
	"go.uber.org/goleak"

	"github.com/osproxy/osproxy/e2e/front"
	"github.com/osproxy/osproxy/e2e/front/oss"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var vendor = oss.Vendor{Bucket: "files", Region: "cn-hangzhou", AccessKeyID: "LTAIexample", AccessKeySecret: "the-secret-key"}

// served is a front at an address.
type served struct {
	*front.Front
	url, addr string
}

func serve(t *testing.T, up front.Upstream, now func() time.Time) *served {
	t.Helper()
	f := front.New(front.Config{Vendor: vendor, Upstream: up, Spool: t.TempDir(), Now: now})
	srv := httptest.NewServer(oss.Manners(f))
	t.Cleanup(func() {
		srv.Close()
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return &served{f, srv.URL, srv.Listener.Addr().String()}
}

// bucket is the SDK's, at the vendor's own name, with all connections going to
// the front.
func (s *served) bucket(t *testing.T, name, id, secret string, options ...sdk.ClientOption) *sdk.Bucket {
	t.Helper()
	way := &http.Transport{DisableCompression: true, DialContext: to(s.addr)}
	t.Cleanup(way.CloseIdleConnections)
	options = append([]sdk.ClientOption{sdk.AuthVersion(sdk.AuthV4), sdk.Region(vendor.Region), sdk.HTTPClient(&http.Client{Transport: way})}, options...)
	c, err := sdk.New("http://"+vendor.Endpoint(), id, secret, options...)
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.Bucket(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (s *served) ours(t *testing.T) *sdk.Bucket {
	return s.bucket(t, vendor.Bucket, vendor.AccessKeyID, vendor.AccessKeySecret)
}

// to has all connections go to addr.
func to(addr string) func(ctx context.Context, network, _ string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
}

// wantCode checks what the SDK made of an error.
func wantCode(t *testing.T, what string, err error, status int, code string) {
	t.Helper()
	var e sdk.ServiceError
	if !errors.As(err, &e) || e.StatusCode != status || e.Code != code {
		t.Errorf("%s: %v, want %d %s", what, err, status, code)
	}
}

// nowhere is an S3 server that is not there: what is refused never comes to it.
var nowhere = front.Upstream{URL: "http://127.0.0.1:1"}

func TestRefusals(t *testing.T) {
	s := serve(t, nowhere, nil)
	later := serve(t, nowhere, func() time.Time { return time.Now().Add(16 * time.Minute) })
	id, secret := vendor.AccessKeyID, vendor.AccessKeySecret
	for _, c := range []struct {
		what   string
		bucket *sdk.Bucket
		status int
		code   string
	}{
		{"another secret", s.bucket(t, "files", id, "another"), 403, "SignatureDoesNotMatch"},
		{"another key", s.bucket(t, "files", "LTAIanother", secret), 403, "InvalidAccessKeyId"},
		{"another bucket", s.bucket(t, "folders", id, secret), 404, "NoSuchBucket"},
		{"another region", s.bucket(t, "files", id, secret, sdk.Region("cn-beijing")), 400, "InvalidArgument"},
		{"signed by version 1", s.bucket(t, "files", id, secret, sdk.AuthVersion(sdk.AuthV1)), 403, "AccessDenied"},
		{"signed by version 2", s.bucket(t, "files", id, secret, sdk.AuthVersion(sdk.AuthV2)), 403, "AccessDenied"},
		{"a clock that is late", later.ours(t), 403, "RequestTimeTooSkewed"},
		{"anonymous", s.bucket(t, "files", "", ""), 403, "InvalidAccessKeyId"},
	} {
		wantCode(t, c.what+", put", c.bucket.PutObject("key", strings.NewReader("abc")), c.status, c.code)
		_, err := c.bucket.ListObjectsV2()
		wantCode(t, c.what+", list", err, c.status, c.code)
		_, err = c.bucket.Client.GetBucketVersioning(c.bucket.BucketName)
		wantCode(t, c.what+", versioning", err, c.status, c.code)
		_, err = c.bucket.GetObjectDetailedMeta("key") // by a header
		wantCode(t, c.what+", head", err, c.status, c.code)
	}
	b := s.ours(t)
	wantCode(t, "a header of S3", b.PutObject("key", strings.NewReader("abc"), sdk.SetHeader("If-None-Match", "*")), 400, "InvalidArgument")
	wantCode(t, "an unknown header", b.PutObject("key", strings.NewReader("abc"), sdk.SetHeader("X-Oss-Colour", "red")), 400, "InvalidArgument")
	wantCode(t, "a header of another call", b.PutObject("key", strings.NewReader("abc"), sdk.RangeBehavior("standard")), 400, "InvalidArgument")
	_, err := b.ListObjectsV2(sdk.AddParam("max-uploads", "3"))
	wantCode(t, "a query of another call", err, 400, "InvalidArgument")
	_, err = b.GetObject("key", sdk.AddParam("colour", "red"))
	wantCode(t, "an unknown query", err, 400, "InvalidArgument")
	wantCode(t, "a long name", b.PutObject(strings.Repeat("n", 1024), strings.NewReader("")), 400, "KeyTooLong")
	wantCode(t, "a slash in front", b.PutObject("/key", strings.NewReader("")), 400, "InvalidObjectName")
	up := sdk.InitiateMultipartUploadResult{Bucket: "files", Key: "key", UploadID: "id"}
	_, err = b.UploadPart(up, strings.NewReader("abc"), 3, 10_001)
	wantCode(t, "part 10,001", err, 400, "InvalidArgument")
	for _, source := range []string{"files/source", "/folders/source", "/files/", "/files/%zz"} {
		_, err = b.UploadPartCopy(up, "files", "source", 0, 10, 1, sdk.SetHeader(sdk.HTTPHeaderOssCopySource, source))
		if err == nil {
			t.Errorf("a copy of %q was not refused", source)
		}
	}
	for n, call := range map[front.Name]int{front.GetObject: s.Calls(front.GetObject), front.GetBucketVersioning: s.Calls(front.GetBucketVersioning), front.ListObjectsV2: s.Calls(front.ListObjectsV2)} {
		if call != 0 {
			t.Errorf("%d calls of %s passed", call, n)
		}
	}
}

// TestVersioning is told as OSS documents it, to who may know.
func TestVersioning(t *testing.T) {
	s := serve(t, nowhere, nil)
	b := s.ours(t)
	for _, want := range []string{"", "Enabled", "Suspended"} {
		s.SetVersioning(front.Versioning{Status: want})
		if got, err := b.Client.GetBucketVersioning(vendor.Bucket); got.Status != want || err != nil {
			t.Errorf("%q, %v, want %q", got.Status, err, want)
		}
	}
	s.SetVersioning(front.Versioning{Hidden: true})
	_, err := b.Client.GetBucketVersioning(vendor.Bucket)
	wantCode(t, "hidden", err, 403, "AccessDenied")
}

// TestSizes asks for more than 5 GB, of which nothing is sent: the length is
// told first.
func TestSizes(t *testing.T) {
	const tooMuch = 5<<30 + 1
	s := serve(t, nowhere, nil)
	signer := s.bucket(t, "files", vendor.AccessKeyID, vendor.AccessKeySecret, sdk.HTTPClient(&http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		r.Body = io.NopCloser(strings.NewReader(""))
		w := httptest.NewRecorder()
		r.URL.Host, r.RequestURI = "", r.URL.RequestURI()
		s.ServeHTTP(w, r)
		return w.Result(), nil
	})}))
	body := &io.LimitedReader{R: strings.NewReader(""), N: tooMuch}
	wantCode(t, "an object", signer.PutObject("key", body), 400, "EntityTooLarge")
	up := sdk.InitiateMultipartUploadResult{Bucket: "files", Key: "key", UploadID: "id"}
	_, err := signer.UploadPart(up, strings.NewReader(""), tooMuch, 1)
	wantCode(t, "a part", err, 400, "EntityTooLarge")
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
