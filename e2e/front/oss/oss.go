// Package oss is Aliyun OSS to an SDK: its signature of version 4, addresses,
// tables of headers and queries, limits and errors, as documented, and what it
// does with ranges and with compression.
package oss

import (
	"bytes"
	"encoding/xml"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/osproxy/osproxy/e2e/front"
)

// Vendor is a front.Vendor with one bucket and one account.
type Vendor struct {
	Bucket          string
	Region          string
	AccessKeyID     string
	AccessKeySecret string
}

// Endpoint is the service's name on the net; the bucket's has the bucket's name
// in front.
func (v Vendor) Endpoint() string { return "oss-" + v.Region + ".aliyuncs.com" }

// Prefix is front.Vendor's.
func (v Vendor) Prefix() string { return "x-oss-" }

// Limits is front.Vendor's.
func (v Vendor) Limits() front.Limits {
	return front.Limits{Key: 1023, Put: 5 << 30, MinPart: 100<<10 + 1, MaxPart: 5 << 30, MaxParts: 10_000, LateErrors: true}
}

// split finds the bucket and the object a request is about: at an address of
// this machine the bucket is in the path, else in the host.
func (v Vendor) split(r *http.Request) (bucket, object string) {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	path := strings.TrimPrefix(r.URL.Path, "/")
	if addr, err := netip.ParseAddr(host); err == nil && addr.IsLoopback() {
		bucket, object, _ = strings.Cut(path, "/")
		return bucket, object
	}
	bucket, _ = strings.CutSuffix(host, "."+v.Endpoint())
	return bucket, path
}

// Key is front.Vendor's.
func (v Vendor) Key(r *http.Request) (string, error) {
	bucket, object := v.split(r)
	if bucket != v.Bucket {
		return "", noSuchBucket()
	}
	if strings.HasPrefix(object, "/") || strings.HasPrefix(object, "\\") {
		return "", front.Refuse(http.StatusBadRequest, "InvalidObjectName", "The specified object is not valid.")
	}
	return object, nil
}

func noSuchBucket() error {
	return front.Refuse(http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist.")
}

// Source is front.Vendor's: "/<bucket>/<key>", the key percent-encoded. A plus is
// a plus.
func (v Vendor) Source(header string) (string, error) {
	path, ok := strings.CutPrefix(header, "/")
	bucket, key, cut := strings.Cut(path, "/")
	key, err := url.PathUnescape(key)
	switch {
	case !ok || !cut || err != nil || key == "":
		return "", front.Refuse(http.StatusBadRequest, "InvalidArgument", "x-oss-copy-source has not the form /bucket/object.")
	case bucket != v.Bucket:
		return "", noSuchBucket()
	}
	return key, nil
}

// Translate is front.Vendor's.
func (v Vendor) Translate(e *front.Error) *front.Error {
	if strings.HasPrefix(e.Code, "SlowDown") {
		return &front.Error{Status: http.StatusServiceUnavailable, Code: "TotalQpsLimitExceeded", Message: "Max total qps limit is exceeded"}
	}
	return e
}

// Failure is front.Vendor's.
func (v Vendor) Failure(e *front.Error, r *http.Request, requestID string) []byte {
	var doc bytes.Buffer
	doc.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>")
	for _, f := range [][2]string{
		{"Code", e.Code}, {"Message", e.Message}, {"RequestId", requestID}, {"HostId", r.Host}, {"EC", ec(e)},
	} {
		doc.WriteString("<" + f[0] + ">")
		_ = xml.EscapeText(&doc, []byte(f[1])) // a buffer takes everything
		doc.WriteString("</" + f[0] + ">")
	}
	doc.WriteString("</Error>")
	remember(r, doc.Bytes())
	return doc.Bytes()
}

// ec is the number OSS documents an error under, of those that have one here.
func ec(e *front.Error) string {
	switch {
	case e.Code == "InvalidAccessKeyId":
		return "0002-00000902"
	case e.Code == "SignatureDoesNotMatch":
		return "0002-00000040"
	case e.Code == "RequestTimeTooSkewed":
		return "0002-00000504"
	case strings.Contains(e.Message, "signing region"):
		return "0002-00000228"
	case strings.Contains(e.Message, "signature version"):
		return "0002-00000080"
	}
	return ""
}

// Operations is front.Vendor's.
func (v Vendor) Operations() []front.Operation {
	always := []string{"date", "content-sha256"}
	with := func(more ...string) []string { return append(append([]string{}, always...), more...) }
	pins := []string{"copy-source-if-match", "copy-source-if-none-match", "copy-source-if-modified-since", "copy-source-if-unmodified-since"}
	shown := []string{"cache-control", "content-disposition", "content-encoding", "expires"}
	conditions := []string{"if-match", "if-none-match", "if-modified-since", "if-unmodified-since"}
	part, upload := []string{"partNumber", "uploadId"}, []string{"uploadId"}
	return []front.Operation{
		{Name: front.GetBucketVersioning, Method: http.MethodGet, Marks: []string{"versioning"}, Headers: always},
		{Name: front.ListMultipartUploads, Method: http.MethodGet, Marks: []string{"uploads"}, Headers: always,
			Queries: []string{"delimiter", "max-uploads", "key-marker", "prefix", "upload-id-marker", "encoding-type"}},
		{Name: front.ListObjectsV2, Method: http.MethodGet, Marks: []string{"list-type"}, Headers: always,
			Queries: []string{"delimiter", "start-after", "continuation-token", "max-keys", "prefix", "encoding-type", "fetch-owner"}},
		{Name: front.DeleteObjects, Method: http.MethodPost, Marks: []string{"delete"}, Dropped: []string{"encoding-type"}, Headers: always},
		{Name: front.InitiateMultipartUpload, Method: http.MethodPost, Object: true, Marks: []string{"uploads"},
			Dropped: []string{"encoding-type", "sequential"}, Headers: with("forbid-overwrite", "meta-*"), Standard: shown},
		{Name: front.UploadPartCopy, Method: http.MethodPut, Object: true, Copy: true, Marks: part, Headers: with(append(pins, "copy-source-range")...)},
		{Name: front.UploadPart, Method: http.MethodPut, Object: true, Marks: part, Headers: always},
		{Name: front.CompleteMultipartUpload, Method: http.MethodPost, Object: true, Marks: upload,
			Dropped: []string{"encoding-type"}, Headers: with("forbid-overwrite")},
		{Name: front.AbortMultipartUpload, Method: http.MethodDelete, Object: true, Marks: upload, Headers: always},
		{Name: front.ListParts, Method: http.MethodGet, Object: true, Marks: upload, Headers: always,
			Queries: []string{"max-parts", "part-number-marker"}, Dropped: []string{"encoding-type"}},
		{Name: front.PutObject, Method: http.MethodPut, Object: true, Headers: with("forbid-overwrite", "meta-*"), Standard: shown},
		{Name: front.GetObject, Method: http.MethodGet, Object: true, Headers: with("range-behavior"), Standard: append(conditions, "range")},
		{Name: front.HeadObject, Method: http.MethodHead, Object: true, Headers: always, Standard: conditions},
		{Name: front.DeleteObject, Method: http.MethodDelete, Object: true, Headers: always},
	}
}
