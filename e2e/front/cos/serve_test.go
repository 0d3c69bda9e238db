//go:build servers

package cos_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	sdk "github.com/tencentyun/cos-go-sdk-v5"

	"github.com/osproxy/osproxy/e2e/front"
	"github.com/osproxy/osproxy/e2e/front/cos"
	"github.com/osproxy/osproxy/e2e/s3server"
)

var vendor = cos.Vendor{Bucket: "files-1250000000", Region: "ap-nanjing", SecretID: "AKIDexample", SecretKey: "the-secret-key"}

// served is a front, and the SDK's client that reaches it at the vendor's name.
type served struct {
	*front.Front
	url    string
	addr   string
	client *sdk.Client
}

// serve runs one, in front of a server for this test alone.
func serve(t *testing.T, k s3server.Kind, now func() time.Time) *served {
	t.Helper()
	behind := s3server.Start(t, k)
	f := front.New(front.Config{Vendor: vendor, Spool: t.TempDir(), Now: now, Upstream: front.Upstream{
		URL: behind.Endpoint, Region: behind.Region, Bucket: behind.Bucket(t),
		AccessKeyID: behind.AccessKeyID, SecretAccessKey: behind.SecretAccessKey,
	}})
	srv := httptest.NewServer(f)
	t.Cleanup(func() {
		srv.Close()
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	addr := srv.Listener.Addr().String()
	return &served{f, srv.URL, addr, client(t, addr, "http://"+vendor.Host(), vendor.SecretKey)}
}

// client is the SDK's, whose connections all go to addr.
func client(t *testing.T, addr, bucket, secret string) *sdk.Client {
	t.Helper()
	u, err := url.Parse(bucket)
	if err != nil {
		t.Fatal(err)
	}
	way := &http.Transport{DialContext: to(addr)}
	t.Cleanup(way.CloseIdleConnections)
	c := sdk.NewClient(&sdk.BaseURL{BucketURL: u}, &http.Client{Transport: &sdk.AuthorizationTransport{SecretID: vendor.SecretID, SecretKey: secret, Transport: way}})
	c.Conf.RetryOpt.Count = 1
	return c
}

// to has all connections go to addr.
func to(addr string) func(ctx context.Context, network, _ string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
}

func TestObjects(t *testing.T) {
	s := serve(t, s3server.MinIO(), nil)
	ctx := t.Context()
	data := bytes.Repeat([]byte("some bytes, "), 300_000)
	want := fmt.Sprint(crc64.Checksum(data, crc64.MakeTable(crc64.ECMA)))
	for _, key := range []string{"plain", "folder/file (1) +%中.txt", strings.Repeat("k", 200) + "/" + strings.Repeat("l", 200)} {
		// The SDK compares the checksum.
		if _, err := s.client.Object.Put(ctx, key, bytes.NewReader(data), nil); err != nil {
			t.Fatal(err)
		}
		// Of an unknown length, so in chunks.
		if _, err := s.client.Object.Put(ctx, key, io.MultiReader(bytes.NewReader(data)), &sdk.ObjectPutOptions{}); err != nil {
			t.Fatal(err)
		}
		resp, err := s.client.Object.Get(ctx, key, &sdk.ObjectGetOptions{Range: "bytes=100-199"})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 206 || !bytes.Equal(got, data[100:200]) || resp.Header.Get("x-cos-hash-crc64ecma") != want {
			t.Errorf("range of %q: %d, %d bytes, %v, %v", key, resp.StatusCode, len(got), err, resp.Header)
		}
		head, err := s.client.Object.Head(ctx, key, nil)
		if err != nil || head.ContentLength != int64(len(data)) || head.Header.Get("x-cos-hash-crc64ecma") != want || head.Header.Get("x-cos-request-id") == "" {
			t.Errorf("head of %q: %v, %v", key, head, err)
		}
		_, err = s.client.Object.Get(ctx, key, &sdk.ObjectGetOptions{Range: "bytes=9999999-"})
		wantCode(t, "range past the end", err, 416, "InvalidRange")
		opt := &sdk.ObjectPutOptions{ObjectPutHeaderOptions: &sdk.ObjectPutHeaderOptions{XOptionHeader: &http.Header{"x-cos-forbid-overwrite": {"true"}}}}
		_, err = s.client.Object.Put(ctx, key, strings.NewReader("other"), opt)
		wantCode(t, "put of an existing key", err, 409, "FileAlreadyExists")
		if _, err := s.client.Object.Delete(ctx, key); err != nil {
			t.Error(err)
		}
		_, err = s.client.Object.Get(ctx, key, nil)
		wantCode(t, "get of nothing", err, 404, "NoSuchKey")
		_, err = s.client.Object.Head(ctx, key, nil)
		wantCode(t, "head of nothing", err, 404, "")
	}
	if n := s.Calls(front.PutObject); n != 9 {
		t.Errorf("%d puts counted", n)
	}
}

func wantCode(t *testing.T, what string, err error, status int, code string) {
	t.Helper()
	var e *sdk.ErrorResponse
	if !errors.As(err, &e) || e.Response.StatusCode != status || e.Code != code {
		t.Errorf("%s: %v, want %d %s", what, err, status, code)
	}
}

func TestListing(t *testing.T) {
	s := serve(t, s3server.MinIO(), nil)
	for i := range 7 {
		if _, err := s.client.Object.Put(t.Context(), fmt.Sprintf("a b/%d", i), strings.NewReader("x"), nil); err != nil {
			t.Fatal(err)
		}
	}
	marker, seen := "", 0
	for {
		page, _, err := s.client.Bucket.Get(t.Context(), &sdk.BucketGetOptions{Prefix: "a b/", Marker: marker, MaxKeys: 3, EncodingType: "url"})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			if key, err := url.QueryUnescape(o.Key); err != nil || key != fmt.Sprintf("a b/%d", seen) {
				t.Errorf("entry %d is %q", seen, o.Key)
			}
			seen++
		}
		if !page.IsTruncated {
			break
		}
		if marker, err = url.QueryUnescape(page.NextMarker); err != nil || marker != fmt.Sprintf("a b/%d", seen-1) {
			t.Fatalf("the next marker is %q", page.NextMarker)
		}
	}
	if seen != 7 {
		t.Errorf("%d listed", seen)
	}
}
