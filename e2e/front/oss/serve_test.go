//go:build servers

package oss_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"hash/crc64"
	"io"
	"net/http"
	"strings"
	"testing"

	sdk "github.com/aliyun/aliyun-oss-go-sdk/oss"

	"github.com/osproxy/osproxy/e2e/front"
)

func TestObjects(t *testing.T) {
	s := serve(t, upstream(t), nil)
	b := s.ours(t)
	data := bytes.Repeat([]byte("some bytes, "), 300_000)
	want := fmt.Sprint(crc64.Checksum(data, crc64.MakeTable(crc64.ECMA)))
	for _, key := range []string{"plain", "folder/file (1) +%中.txt", strings.Repeat("k", 200) + "/" + strings.Repeat("l", 200)} {
		// The SDK compares the checksum; of the second it knows no length.
		for _, r := range []io.Reader{bytes.NewReader(data), io.MultiReader(bytes.NewReader(data))} {
			if err := b.PutObject(key, r, sdk.Meta("colour", "red")); err != nil {
				t.Fatal(err)
			}
		}
		h, err := b.GetObjectDetailedMeta(key)
		if err != nil || h.Get("Content-Length") != fmt.Sprint(len(data)) || h.Get(sdk.HTTPHeaderOssCRC64) != want ||
			h.Get("X-Oss-Meta-Colour") != "red" || h.Get(sdk.HTTPHeaderOssRequestID) == "" {
			t.Errorf("head of %q: %v, %v", key, h, err)
		}
		wantCode(t, "put of an existing key", b.PutObject(key, strings.NewReader("other"), sdk.ForbidOverWrite(true)), 409, "FileAlreadyExists")
		if err := b.DeleteObject(key); err != nil {
			t.Error(err)
		}
		_, err = b.GetObject(key)
		wantCode(t, "get of nothing", err, 404, "NoSuchKey")
		_, err = b.GetObjectDetailedMeta(key)
		wantCode(t, "head of nothing", err, 404, "NoSuchKey")
	}
}

// TestRangesOutsideOfTheObject gets the whole of it unless the standard is asked
// for, as OSS documents it.
func TestRangesOutsideOfTheObject(t *testing.T) {
	b := serve(t, upstream(t), nil).ours(t)
	if err := b.PutObject("key", strings.NewReader("0123456789")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		span, behaviour, want string
		status                int
	}{
		{"2-4", "", "234", 206},
		{"2-4", "standard", "234", 206},
		{"8-12", "", "0123456789", 200},
		{"8-12", "standard", "89", 206},
		{"10-12", "", "0123456789", 200},
		{"10-", "", "0123456789", 200},
		{"4-", "", "456789", 206},
		{"10-", "standard", "", 416},
	} {
		options := []sdk.Option{sdk.NormalizedRange(c.span)}
		if c.behaviour != "" {
			options = append(options, sdk.RangeBehavior(c.behaviour))
		}
		resp, err := b.Do(http.MethodGet, "key", nil, options, nil, nil)
		if c.status == 416 {
			wantCode(t, c.span, err, 416, "InvalidRange")
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp)
		if err != nil || resp.StatusCode != c.status || string(got) != c.want {
			t.Errorf("%s %s: %d, %q, %v", c.span, c.behaviour, resp.StatusCode, got, err)
		}
		resp.Close()
	}
}

func TestTextsAreCompressedWhereGzipIsTaken(t *testing.T) {
	b := serve(t, upstream(t), nil).ours(t)
	text := strings.Repeat("a text ", 1000)
	for _, c := range []struct {
		mediaType, text, accept string
		compressed              bool
	}{
		{"text/plain", text, "gzip", true},
		{"text/plain", text, "", false},
		{"text/plain", "short", "gzip", false},
		{"application/octet-stream", text, "gzip", false},
	} {
		if err := b.PutObject("key", strings.NewReader(c.text), sdk.ContentType(c.mediaType)); err != nil {
			t.Fatal(err)
		}
		var options []sdk.Option
		if c.accept != "" {
			options = append(options, sdk.AcceptEncoding(c.accept))
		}
		resp, err := b.Do(http.MethodGet, "key", nil, options, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		var r io.Reader = resp
		if got := resp.Headers.Get("Content-Encoding") == "gzip"; got != c.compressed {
			t.Errorf("%s, %d bytes, accepting %q: %v", c.mediaType, len(c.text), c.accept, resp.Headers)
		}
		if c.compressed {
			if resp.Headers.Get("Etag") != "" || resp.Headers.Get("Content-Length") != "" {
				t.Errorf("compressed, with %v", resp.Headers)
			}
			if r, err = gzip.NewReader(resp); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != c.text {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		resp.Close()
	}
}

func TestParts(t *testing.T) {
	s := serve(t, upstream(t), nil)
	b := s.ours(t)
	const least = 100<<10 + 1
	source := bytes.Repeat([]byte("0123456789"), 100_000)
	if err := b.PutObject("a source", bytes.NewReader(source)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		size int64 // of the parts but the last
		code string
	}{{"more than 100 KB", least, ""}, {"100 KB", least - 1, "EntityTooSmall"}} {
		up, err := b.InitiateMultipartUpload(c.what)
		if err != nil {
			t.Fatal(err)
		}
		var parts []sdk.UploadPart
		space := sdk.SetHeader(sdk.HTTPHeaderOssCopySource, "/files/a%20source")
		copied, err := b.UploadPartCopy(up, "files", "a source", 7, c.size, 1, space)
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.UploadPartCopy(up, "files", "a source", 7, c.size, 1, space, sdk.CopySourceIfMatch("another"))
		wantCode(t, "a copy of another", err, 412, "PreconditionFailed")
		// The SDK's own spelling of a space is a plus.
		_, err = b.UploadPartCopy(up, "files", "a source", 7, c.size, 1)
		wantCode(t, "a copy of a+source", err, 404, "NoSuchKey")
		sent, err := b.UploadPart(up, bytes.NewReader(source), least, 2)
		if err != nil {
			t.Fatal(err)
		}
		last, err := b.UploadPart(up, strings.NewReader("x"), 1, 3)
		if err != nil {
			t.Fatal(err)
		}
		listed, err := b.ListUploadedParts(up)
		if err != nil || len(listed.UploadedParts) != 3 || int64(listed.UploadedParts[0].Size) != c.size {
			t.Errorf("parts: %+v, %v", listed, err)
		}
		parts = append(parts, copied, sent, last)
		_, err = b.CompleteMultipartUpload(up, parts)
		if c.code != "" {
			wantCode(t, c.what, err, 400, c.code)
			if err := b.AbortMultipartUpload(up); err != nil {
				t.Error(err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		want := append(append(append([]byte{}, source[7:7+c.size]...), source[:least]...), 'x')
		h, err := b.GetObjectDetailedMeta(c.what)
		if err != nil || h.Get(sdk.HTTPHeaderOssCRC64) != fmt.Sprint(crc64.Checksum(want, crc64.MakeTable(crc64.ECMA))) {
			t.Errorf("composed: %v, %v", h, err)
		}
		if _, err := b.ListUploadedParts(up); err == nil {
			t.Error("a finished upload is still there")
		}
	}
	if n := s.Calls(front.CompleteMultipartUpload); n != 2 {
		t.Errorf("%d completions", n)
	}
}
