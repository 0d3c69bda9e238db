//go:build servers

package cos_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/tencentyun/cos-go-sdk-v5"

	"github.com/osproxy/osproxy/e2e/front"
	"github.com/osproxy/osproxy/e2e/s3server"
	"github.com/osproxy/osproxy/store"
)

// TestRefused: the front lets nothing through that COS does not document.
func TestRefused(t *testing.T) {
	s := serve(t, s3server.MinIO(), nil)
	ctx := t.Context()
	put := func(c *sdk.Client, key string, h http.Header) error {
		_, err := c.Object.Put(ctx, key, strings.NewReader("x"), &sdk.ObjectPutOptions{ObjectPutHeaderOptions: &sdk.ObjectPutHeaderOptions{XOptionHeader: &h}})
		return err
	}
	wantCode(t, "wrong secret", put(client(t, s.addr, "http://"+vendor.Host(), "another"), "x", nil), 403, "SignatureDoesNotMatch")
	wantCode(t, "unknown bucket", put(client(t, s.addr, "http://other-1250000000.cos.ap-nanjing.myqcloud.com", vendor.SecretKey), "x", nil), 404, "NoSuchBucket")
	wantCode(t, "unknown region", put(client(t, s.addr, "http://files-1250000000.cos.ap-beijing.myqcloud.com", vendor.SecretKey), "x", nil), 404, "NoSuchBucket")
	wantCode(t, "header of S3", put(s.client, "x", http.Header{"X-Amz-Acl": {"private"}}), 400, "InvalidArgument")
	wantCode(t, "header of nobody", put(s.client, "x", http.Header{"X-Cos-No-Such": {"1"}}), 400, "InvalidArgument")
	wantCode(t, "header of another call", put(s.client, "x", http.Header{"Range": {"bytes=0-1"}}), 400, "InvalidArgument")
	wantCode(t, "long key", put(s.client, strings.Repeat("k/", 425)+"k", nil), 400, "KeyTooLong")
	wantCode(t, "name that is not kept", put(s.client, "a//b", nil), 400, "InvalidArgument")
	much := httptest.NewRequestWithContext(ctx, http.MethodPut, "http://"+vendor.Host()+"/x", nil)
	much.ContentLength = 5<<30 + 1
	sdk.AddAuthorizationHeader(vendor.SecretID, vendor.SecretKey, "", much, sdk.NewAuthTime(time.Hour))
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, much)
	if answer.Code != 400 || !strings.Contains(answer.Body.String(), "<Code>EntityTooLarge</Code>") {
		t.Errorf("more than 5 GB: %d %s", answer.Code, answer.Body)
	}
	_, err := s.client.Object.Get(ctx, "x", nil, "version")
	wantCode(t, "query of what is not served", err, 400, "InvalidArgument")
	_, _, err = client(t, s.addr, "http://"+vendor.Host(), "another").Bucket.GetVersioning(ctx)
	wantCode(t, "wrong secret, versioning", err, 403, "SignatureDoesNotMatch")
	_, err = s.client.Bucket.Put(ctx, nil)
	wantCode(t, "call that is not served", err, 405, "MethodNotAllowed")
	_, err = s.client.Object.Get(ctx, "x", nil)
	wantCode(t, "object that nobody made", err, 404, "NoSuchKey")
}

// TestVersioning is told as COS documents it, to who may know.
func TestVersioning(t *testing.T) {
	s := serve(t, s3server.MinIO(), nil)
	for _, want := range []string{"", "Enabled", "Suspended"} {
		s.SetVersioning(front.Versioning{Status: want})
		if got, _, err := s.client.Bucket.GetVersioning(t.Context()); err != nil || got.Status != want {
			t.Errorf("%v, %v, want %q", got, err, want)
		}
	}
	s.SetVersioning(front.Versioning{Hidden: true})
	_, _, err := s.client.Bucket.GetVersioning(t.Context())
	wantCode(t, "hidden", err, 403, "AccessDenied")
}

// TestRefusedDeletions: many objects are deleted as COS documents it only.
func TestRefusedDeletions(t *testing.T) {
	s := serve(t, s3server.MinIO(), nil)
	many := func(n int) *sdk.ObjectDeleteMultiOptions {
		return &sdk.ObjectDeleteMultiOptions{Objects: slices.Repeat([]sdk.Object{{Key: "x"}}, n)}
	}
	for n, code := range map[int]string{0: "MalformedXML", 1001: "MalformedXML", 1000: "", 1: ""} {
		_, _, err := s.client.Object.DeleteMulti(t.Context(), many(n))
		if code != "" {
			wantCode(t, "delete many", err, 400, code)
		} else if err != nil {
			t.Errorf("delete %d: %v", n, err)
		}
	}
	for md5, code := range map[string]string{"": "MissingContentMD5", "1B2M2Y8AsgTpgAmY7PhCfg==": "BadDigest"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+vendor.Host()+"/?delete", strings.NewReader("<Delete><Object><Key>x</Key></Object></Delete>"))
		if md5 != "" {
			r.Header.Set("Content-MD5", md5)
		}
		sdk.AddAuthorizationHeader(vendor.SecretID, vendor.SecretKey, "", r, sdk.NewAuthTime(time.Hour))
		answer := httptest.NewRecorder()
		s.ServeHTTP(answer, r)
		if answer.Code != 400 || !strings.Contains(answer.Body.String(), "<Code>"+code+"</Code>") {
			t.Errorf("with the checksum %q: %d %s", md5, answer.Code, answer.Body)
		}
	}
}

// TestClocks: what the vendor's clock refuses is told as such by a backend.
func TestClocks(t *testing.T) {
	var skew atomic.Int64
	s := serve(t, s3server.MinIO(), func() time.Time { return time.Now().Add(time.Duration(skew.Load())) })
	b := s.open(t, "http://"+vendor.Host(), "")
	defer b.Close()
	if err := b.Check(t.Context()); err != nil {
		t.Error(err)
	}
	for _, apart := range []time.Duration{2 * time.Hour, -time.Hour} {
		skew.Store(int64(apart))
		err := b.Check(t.Context())
		if !errors.Is(err, store.ErrClock) || errors.Is(err, store.ErrDenied) {
			t.Errorf("clocks that are %v apart: %v", apart, err)
		}
		wantClock(t, apart, b.Put(t.Context(), store.NewKey("00000001"), strings.NewReader("x"), 1))
		_, err = b.Stat(t.Context(), store.NewKey("00000001"))
		wantClock(t, apart, err)
	}
}

func wantClock(t *testing.T, skew time.Duration, err error) {
	t.Helper()
	if !errors.Is(err, store.ErrClock) {
		t.Errorf("clocks that are %v apart: %v", skew, err)
	}
}

// TestLateErrors: a server that fails while it copies is told of with 200.
func TestLateErrors(t *testing.T) {
	s := serve(t, s3server.MinIO(), nil)
	ctx := t.Context()
	if _, err := s.client.Object.Put(ctx, "source", strings.NewReader("x"), nil); err != nil {
		t.Fatal(err)
	}
	begun, _, err := s.client.Object.InitiateMultipartUpload(ctx, "x", nil)
	if err != nil {
		t.Fatal(err)
	}
	s.FailLate(1)
	_, resp, err := s.client.Object.CopyPart(ctx, "x", begun.UploadID, 1, vendor.Host()+"/source", nil)
	var e *sdk.ErrorResponse
	if resp == nil || resp.StatusCode != http.StatusOK || !errors.As(err, &e) || e.Code != "InternalError" {
		t.Errorf("a copy that failed: %v, %v", resp, err)
	}
	if _, _, err := s.client.Object.CopyPart(ctx, "x", begun.UploadID, 1, vendor.Host()+"/source", nil); err != nil {
		t.Error(err)
	}
}
