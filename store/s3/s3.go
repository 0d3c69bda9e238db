// Package s3 keeps blobs in a bucket of whatever speaks S3: AWS, MinIO, Ceph,
// Garage, versitygw and others.
//
// The SDK's calls of one request each are used and none of its own plans: it
// does not split, join, retry or seek here.
package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// mediaType is what objects of ours are said to be. The SDK would guess one.
const mediaType = "application/octet-stream"

// maxPut is how many bytes S3 takes in one request.
const maxPut = 5 << 30

// Config describes a bucket.
type Config struct {
	// Endpoint is the service's URL, without the bucket.
	Endpoint string
	// Region is what requests are signed for. Given, nobody is asked for it.
	Region          string
	Bucket          string
	Prefix          string
	AccessKeyID     string
	SecretAccessKey store.Secret
	// PathStyle has the bucket in the path and not in the host.
	PathStyle bool
	// Transport is the way to the service, this backend's alone; nil makes one.
	Transport *http.Transport
}

// Backend is a store.Backend, Composer, Browser, Checker and Noter on S3.
type Backend struct {
	core *minio.Core
	// bare is core for bodies that nothing follows.
	bare      *minio.Core
	bucket    string
	names     object.Names
	transport *http.Transport
	// bodies is whether checksums may follow bodies: some services know no such
	// thing. Check and SetMark ask, and nothing later changes it.
	bodies question
	// joins is whether the service checks what it joins.
	joins question
}

var (
	_ store.Backend  = (*Backend)(nil)
	_ store.Composer = (*Backend)(nil)
	_ store.Browser  = (*Backend)(nil)
	_ store.Checker  = (*Backend)(nil)
	_ store.Noter    = (*Backend)(nil)

	_ store.BatchDeleter = (*Backend)(nil)
)

// settings are what the configuration calls them.
func settings() object.Settings {
	return object.Settings{Endpoint: "endpoint", Region: "region", Bucket: "bucket", KeyID: "access_key_id", Secret: "secret_access_key"}
}

// New makes a Backend. It sends nothing.
func New(c Config) (*Backend, error) {
	names, err := object.NewNames(c.Prefix)
	if err != nil {
		return nil, fmt.Errorf("prefix: %w", err)
	}
	u, err := url.Parse(c.Endpoint)
	if err != nil {
		return nil, errors.New("endpoint: is no URL")
	}
	b := &Backend{bucket: c.Bucket, names: names, transport: c.Transport}
	if b.transport == nil {
		b.transport = object.NewTransport()
	}
	lookup := minio.BucketLookupDNS
	if c.PathStyle {
		lookup = minio.BucketLookupPath
	}
	options := minio.Options{
		Creds:  credentials.NewStaticV4(c.AccessKeyID, c.SecretAccessKey.Reveal(), ""),
		Secure: u.Scheme == "https", Region: c.Region, BucketLookup: lookup,
		Transport: object.Watched{Base: b.transport, RequestID: "X-Amz-Request-Id"},
		// One attempt: whether to try again is decided in one place, by the
		// wrapper, which knows whether a body can be sent twice.
		MaxRetries: 1,
	}
	if b.bare, err = minio.NewCore(u.Host, &options); err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	options.TrailingHeaders = true
	if b.core, err = minio.NewCore(u.Host, &options); err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	return b, nil
}

// Close is store.Backend's.
func (b *Backend) Close() error {
	b.transport.CloseIdleConnections()
	return nil
}

// call is one call of the SDK.
type call struct {
	ctx    context.Context
	answer *object.Answer
	what   string
}

// begin begins a call, which errors are about.
func begin(ctx context.Context, what string) *call {
	c := &call{what: what}
	c.ctx, c.answer = object.Watch(ctx)
	return c
}

// failed says what an error of the SDK means.
func (c *call) failed(err error) error {
	if err == nil {
		return nil
	}
	said := minio.ToErrorResponse(err) // which looks at this error alone
	switch {
	case said.Code == "":
		err = object.Unreached(c.ctx, err)
	case c.ctx.Err() != nil:
		err = fmt.Errorf("%w: %w", c.ctx.Err(), err)
	default:
		status := said.StatusCode
		if status == 0 {
			status = c.answer.Status
		}
		if said.Code == said.Message && strings.HasPrefix(said.Code, strconv.Itoa(status)) {
			said.Code, said.Message = "", "" // what the SDK makes of an answer without a body
		}
		err = object.NewFailure(status, said.Code, said.Message, said.RequestID, c.answer.RetryAfter())
	}
	return fmt.Errorf("%s: %w", c.what, err)
}
