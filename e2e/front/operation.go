package front

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Name is what S3 calls an operation, whatever the vendor does.
type Name string

// The operations that a Front serves.
const (
	HeadBucket              Name = "HeadBucket"
	GetBucketVersioning     Name = "GetBucketVersioning"
	ListObjects             Name = "ListObjects"
	ListObjectsV2           Name = "ListObjectsV2"
	DeleteObjects           Name = "DeleteObjects"
	PutObject               Name = "PutObject"
	CopyObject              Name = "CopyObject"
	GetObject               Name = "GetObject"
	HeadObject              Name = "HeadObject"
	DeleteObject            Name = "DeleteObject"
	InitiateMultipartUpload Name = "InitiateMultipartUpload"
	UploadPart              Name = "UploadPart"
	UploadPartCopy          Name = "UploadPartCopy"
	CompleteMultipartUpload Name = "CompleteMultipartUpload"
	AbortMultipartUpload    Name = "AbortMultipartUpload"
	ListParts               Name = "ListParts"
	ListMultipartUploads    Name = "ListMultipartUploads"
)

// carriedOut are the operations on uploads that are done to their end though the
// caller has left, as a storage does. The S3 server would finish some of them
// all the same, and list parts of which nothing is known here and which then
// nothing can be made of.
var carriedOut = []Name{InitiateMultipartUpload, UploadPart, UploadPartCopy, CompleteMultipartUpload, AbortMultipartUpload}

// Operation is one call a vendor documents, as far as it is served.
type Operation struct {
	Name   Name
	Method string
	Object bool // of an object and not of the bucket
	Copy   bool // has the header copy-source
	// Marks are the queries that tell the call from others.
	Marks []string
	// Queries may be there, too; those that S3 does not have are Dropped.
	Queries []string
	Dropped []string
	// Headers are the vendor's that may be there, without the prefix, in lower
	// case ("meta-*" is all that begin with "meta-"), and the standard ones that
	// not every request may have.
	Headers  []string
	Standard []string
}

// everywhere are the standard headers any request may have.
var everywhere = []string{
	"accept", "accept-encoding", "authorization", "connection", "content-length", "content-md5", "content-type", "date", "expect",
	"host", "transfer-encoding", "user-agent",
}

// checked finds the operation of a request and refuses what its table does not
// have.
func (f *Front) checked(r *http.Request, key string) (*call, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, Refuse(http.StatusBadRequest, "InvalidURI", "the query cannot be read")
	}
	source := r.Header.Get(f.Vendor.Prefix() + "copy-source")
	i := slices.IndexFunc(f.Vendor.Operations(), func(o Operation) bool {
		return o.Method == r.Method && o.Object == (key != "") && o.Copy == (source != "") &&
			!slices.ContainsFunc(o.Marks, func(m string) bool { return !query.Has(m) })
	})
	if i < 0 {
		return nil, Refuse(http.StatusMethodNotAllowed, "MethodNotAllowed", "%s %s is not served", r.Method, r.URL.RequestURI())
	}
	c := &call{Request: r, op: f.Vendor.Operations()[i], key: key}
	for q, values := range query {
		if !slices.Contains(slices.Concat(c.op.Marks, c.op.Queries, c.op.Dropped), q) || len(values) != 1 {
			return nil, Refuse(http.StatusBadRequest, "InvalidArgument", "%s has no query %q, or not %d times", c.op.Name, q, len(values))
		}
	}
	if err := f.checkHeaders(c); err != nil {
		return nil, err
	}
	if len(key) > f.Vendor.Limits().Key {
		return nil, Refuse(http.StatusBadRequest, "KeyTooLong", "the key has %d bytes", len(key))
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead && !kept(key) {
		return nil, Refuse(http.StatusBadRequest, "InvalidArgument", "the S3 server behind this cannot keep %q under that very name", key)
	}
	if c.op.Copy {
		c.source, err = f.Vendor.Source(source)
	}
	return c, err
}

// kept reports whether a name is not taken for a path that can be said shorter,
// as S3 servers on file systems do.
func kept(key string) bool {
	if key == "" {
		return true
	}
	segments := strings.Split(strings.TrimSuffix(key, "/"), "/")
	return !slices.ContainsFunc(segments, func(s string) bool { return s == "" || s == "." || s == ".." })
}

func (f *Front) checkHeaders(c *call) error {
	for h := range c.Header {
		name := strings.ToLower(h)
		own, vendors := strings.CutPrefix(name, f.Vendor.Prefix())
		known := slices.Contains(everywhere, name) || slices.Contains(c.op.Standard, name)
		if vendors {
			known = c.op.Copy && own == "copy-source" || slices.ContainsFunc(c.op.Headers, func(p string) bool {
				start, all := strings.CutSuffix(p, "*")
				return own == p || all && strings.HasPrefix(own, start)
			})
		}
		if !known {
			return Refuse(http.StatusBadRequest, "InvalidArgument", "%s has no header %q", c.op.Name, name)
		}
	}
	return nil
}

// query is what S3 is asked.
func (c *call) query() url.Values {
	q := c.URL.Query()
	for _, d := range c.op.Dropped {
		q.Del(d)
	}
	return q
}

// header is what S3 is told.
func (f *Front) header(c *call) http.Header {
	prefix := f.Vendor.Prefix()
	out := http.Header{}
	for h, v := range c.Header {
		name := strings.ToLower(h)
		if own, ok := strings.CutPrefix(name, prefix); ok {
			if strings.HasPrefix(own, "meta-") || strings.HasPrefix(own, "copy-source-") {
				out["X-Amz-"+http.CanonicalHeaderKey(own)] = v
			}
		} else if name == "content-type" || name == "content-md5" || slices.Contains(c.op.Standard, name) {
			out[h] = v
		}
	}
	// It is asked for where an upload begins, too, and means nothing there.
	if strings.EqualFold(c.Header.Get(prefix+"forbid-overwrite"), "true") && c.op.Name != InitiateMultipartUpload && !f.versioned() {
		out.Set("If-None-Match", "*")
	}
	return out
}
