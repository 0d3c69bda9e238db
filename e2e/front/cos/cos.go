// Package cos is Tencent COS to an SDK: its signature, addresses, tables of
// headers and queries, limits and errors, as documented.
package cos

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
	Bucket    string // with the account's number: "files-1250000000"
	Region    string
	SecretID  string
	SecretKey string
}

// Host is the bucket's name on the net.
func (v Vendor) Host() string { return v.Bucket + ".cos." + v.Region + ".myqcloud.com" }

// Prefix is front.Vendor's.
func (v Vendor) Prefix() string { return "x-cos-" }

// Limits is front.Vendor's.
func (v Vendor) Limits() front.Limits {
	return front.Limits{Key: 850, Put: 5 << 30, MinPart: 1 << 20, MaxPart: 5 << 30, MaxParts: 10_000, MinRange: 1 << 20, LateErrors: true}
}

// Key is front.Vendor's. The bucket is known by its name, or by an address of
// this machine.
func (v Vendor) Key(r *http.Request) (string, error) {
	if err := v.checkHost(r.Host); err != nil {
		return "", err
	}
	return strings.TrimPrefix(r.URL.Path, "/"), nil
}

func (v Vendor) checkHost(host string) error {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if addr, err := netip.ParseAddr(host); err == nil && addr.IsLoopback() || host == v.Host() {
		return nil
	}
	return front.Refuse(http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist.")
}

// Source is front.Vendor's: "<host>/<key>".
func (v Vendor) Source(header string) (string, error) {
	host, key, ok := strings.Cut(header, "/")
	key, err := url.PathUnescape(key)
	if !ok || err != nil || key == "" {
		return "", front.Refuse(http.StatusBadRequest, "InvalidArgument", "the copy source cannot be read")
	}
	return key, v.checkHost(host)
}

// Translate is front.Vendor's: the codes are S3's.
func (v Vendor) Translate(e *front.Error) *front.Error { return e }

// Failure is front.Vendor's.
func (v Vendor) Failure(e *front.Error, r *http.Request, requestID string) []byte {
	var doc bytes.Buffer
	doc.WriteString("<?xml version='1.0' encoding='utf-8' ?>\n<Error>")
	for _, f := range [][2]string{
		{"Code", e.Code}, {"Message", e.Message}, {"Resource", r.Host + r.URL.Path}, {"RequestId", requestID}, {"TraceId", requestID},
	} {
		doc.WriteString("<" + f[0] + ">")
		_ = xml.EscapeText(&doc, []byte(f[1])) // a buffer takes everything
		doc.WriteString("</" + f[0] + ">")
	}
	doc.WriteString("</Error>")
	return doc.Bytes()
}

// Operations is front.Vendor's.
func (v Vendor) Operations() []front.Operation {
	pins := []string{"copy-source-if-match", "copy-source-if-none-match", "copy-source-if-modified-since", "copy-source-if-unmodified-since"}
	shown := []string{"cache-control", "content-disposition", "content-encoding", "content-language", "expires"}
	conditions := []string{"if-match", "if-none-match", "if-modified-since", "if-unmodified-since"}
	part := []string{"partNumber", "uploadId"}
	responses := []string{
		"response-content-type", "response-content-language", "response-expires", "response-cache-control", "response-content-disposition",
		"response-content-encoding",
	}
	return []front.Operation{
		{Name: front.HeadBucket, Method: http.MethodHead},
		{Name: front.GetBucketVersioning, Method: http.MethodGet, Marks: []string{"versioning"}},
		{Name: front.ListMultipartUploads, Method: http.MethodGet, Marks: []string{"uploads"}, Queries: []string{"encoding-type", "prefix", "max-uploads", "key-marker", "upload-id-marker"}},
		{Name: front.ListObjects, Method: http.MethodGet, Queries: []string{"prefix", "delimiter", "encoding-type", "marker", "max-keys"}},
		{Name: front.DeleteObjects, Method: http.MethodPost, Marks: []string{"delete"}},

		{Name: front.InitiateMultipartUpload, Method: http.MethodPost, Object: true, Marks: []string{"uploads"}, Headers: []string{"meta-*"}, Standard: shown},
		{Name: front.UploadPartCopy, Method: http.MethodPut, Object: true, Copy: true, Marks: part, Headers: append(pins, "copy-source-range")},
		{Name: front.UploadPart, Method: http.MethodPut, Object: true, Marks: part},
		{Name: front.CompleteMultipartUpload, Method: http.MethodPost, Object: true, Marks: []string{"uploadId"}, Headers: []string{"forbid-overwrite"}},
		{Name: front.AbortMultipartUpload, Method: http.MethodDelete, Object: true, Marks: []string{"uploadId"}},
		{Name: front.ListParts, Method: http.MethodGet, Object: true, Marks: []string{"uploadId"}, Queries: []string{"encoding-type", "max-parts", "part-number-marker"}},

		{Name: front.CopyObject, Method: http.MethodPut, Object: true, Copy: true, Headers: append(pins, "forbid-overwrite")},
		{Name: front.PutObject, Method: http.MethodPut, Object: true, Headers: []string{"forbid-overwrite", "meta-*"}, Standard: shown},
		{Name: front.GetObject, Method: http.MethodGet, Object: true, Queries: responses, Standard: append(conditions, "range")},
		{Name: front.HeadObject, Method: http.MethodHead, Object: true, Standard: conditions},
		{Name: front.DeleteObject, Method: http.MethodDelete, Object: true},
	}
}
