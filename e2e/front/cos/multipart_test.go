//go:build servers

package cos_test

import (
	"bytes"
	"fmt"
	"hash/crc64"
	"io"
	"net/http"
	"testing"

	sdk "github.com/tencentyun/cos-go-sdk-v5"

	"github.com/osproxy/osproxy/e2e/s3server"
)

func TestMultipart(t *testing.T) {
	for _, k := range s3server.Kinds() {
		t.Run(k.Name, func(t *testing.T) { multipart(t, serve(t, k, nil)) })
	}
}

func multipart(t *testing.T, s *served) {
	const mib = 1 << 20
	ctx := t.Context()
	source := make([]byte, 20*mib)
	for i := range source {
		source[i] = byte(i * i / 77)
	}
	if _, err := s.client.Object.Put(ctx, "source", bytes.NewReader(source), nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what   string
		copied [][2]int // of the source, or sent where that is too little to copy
		sent   int      // the last part
		code   string
	}{
		{"parts of S3", [][2]int{{0, 6 * mib}, {6 * mib, 12 * mib}}, 100, ""},
		{"parts of the vendor", [][2]int{{0, mib}, {mib, 8 * mib}, {7, 7 + 2*mib}}, 100, ""},
		{"small parts that are too small", [][2]int{{0, mib - 1}, {mib, 8 * mib}}, 100, "EntityTooSmall"},
	} {
		begun, _, err := s.client.Object.InitiateMultipartUpload(ctx, c.what, nil)
		if err != nil {
			t.Fatal(err)
		}
		var want []byte
		var parts []sdk.Object
		for i, r := range c.copied {
			want = append(want, source[r[0]:r[1]]...)
			if r[1]-r[0] < mib {
				sent, err := s.client.Object.UploadPart(ctx, c.what, begun.UploadID, i+1, bytes.NewReader(source[r[0]:r[1]]), nil)
				if err != nil {
					t.Fatal(err)
				}
				parts = append(parts, sdk.Object{PartNumber: i + 1, ETag: sent.Header.Get("Etag")})
				continue
			}
			done, _, err := s.client.Object.CopyPart(ctx, c.what, begun.UploadID, i+1, vendor.Host()+"/source",
				&sdk.ObjectCopyPartOptions{XCosCopySourceRange: fmt.Sprintf("bytes=%d-%d", r[0], r[1]-1)})
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, sdk.Object{PartNumber: i + 1, ETag: done.ETag})
		}
		_, _, err = s.client.Object.CopyPart(ctx, c.what, begun.UploadID, 9, vendor.Host()+"/source",
			&sdk.ObjectCopyPartOptions{XCosCopySourceRange: fmt.Sprintf("bytes=0-%d", mib-2)})
		wantCode(t, "a copy of too little", err, 400, "InvalidArgument")
		last := source[:c.sent]
		resp, err := s.client.Object.UploadPart(ctx, c.what, begun.UploadID, len(parts)+1, bytes.NewReader(last), nil)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, sdk.Object{PartNumber: len(parts) + 1, ETag: resp.Header.Get("Etag")})
		want = append(want, last...)
		open, _, err := s.client.Object.ListUploads(ctx, &sdk.ObjectListUploadsOptions{})
		if err != nil || len(open.Upload) != 1 || open.Upload[0].Key != c.what || open.Upload[0].UploadID != begun.UploadID {
			t.Errorf("%s: uploads listed: %+v, %v", c.what, open, err)
		}
		finish := &sdk.CompleteMultipartUploadOptions{Parts: parts, XOptionHeader: &http.Header{"x-cos-forbid-overwrite": {"true"}}}
		_, _, err = s.client.Object.CompleteMultipartUpload(ctx, c.what, begun.UploadID, finish)
		if c.code != "" {
			wantCode(t, c.what, err, 400, c.code)
			if _, err := s.client.Object.AbortMultipartUpload(ctx, c.what, begun.UploadID); err != nil {
				t.Error(err)
			}
		} else {
			if err != nil {
				t.Fatalf("%s: %v", c.what, err)
			}
			wantObject(t, s, c.what, want)
		}
		_, err = s.client.Object.AbortMultipartUpload(ctx, c.what, begun.UploadID)
		wantCode(t, "abort of what is finished", err, 404, "NoSuchUpload")
	}
	_, _, err := s.client.Object.CopyPart(ctx, "x", "none", 1, vendor.Host()+"/source", nil)
	wantCode(t, "part of no upload", err, 404, "NoSuchUpload")
}

func wantObject(t *testing.T, s *served, key string, want []byte) {
	t.Helper()
	resp, err := s.client.Object.Get(t.Context(), key, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	sum := fmt.Sprint(crc64.Checksum(want, crc64.MakeTable(crc64.ECMA)))
	if err != nil || !bytes.Equal(got, want) || resp.Header.Get("x-cos-hash-crc64ecma") != sum {
		t.Errorf("%s: %d bytes, %v, want %d", key, len(got), err, len(want))
	}
}
