// Package oss keeps blobs in a bucket of Aliyun OSS, with requests signed by
// version 4 of its signature; version 1, which the SDK takes of its own, is
// refused to new accounts and buckets.
package oss

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aliyun/aliyun-oss-go-sdk/oss"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// mediaType is what objects of ours are said to be. The SDK would guess one.
const mediaType = "application/octet-stream"

// maxPut is how many bytes OSS takes in one request.
const maxPut = 5 << 30

// Config describes a bucket.
type Config struct {
	// Endpoint is the service's URL: https://oss-cn-hangzhou.aliyuncs.com. At an
	// address, and not a name, the bucket is in the path.
	Endpoint string
	// Region is what requests are signed for: cn-hangzhou.
	Region          string
	Bucket          string
	Prefix          string
	AccessKeyID     string
	AccessKeySecret store.Secret
	// Transport is the way to the service, this backend's alone; nil makes one.
	Transport *http.Transport
}

// Backend is a store.Backend, Composer, Browser, Checker and BatchDeleter on OSS.
type Backend struct {
	bucket    *oss.Bucket
	names     object.Names
	region    string
	endpoint  string
	transport *http.Transport
}

var (
	_ store.Backend  = (*Backend)(nil)
	_ store.Composer = (*Backend)(nil)
	_ store.Browser  = (*Backend)(nil)
	_ store.Checker  = (*Backend)(nil)

	_ store.BatchDeleter = (*Backend)(nil)
)

// New makes a Backend. It sends nothing.
func New(c Config) (*Backend, error) {
	names, err := object.NewNames(c.Prefix)
	if err != nil {
		return nil, fmt.Errorf("prefix: %w", err)
	}
	b := &Backend{names: names, region: c.Region, endpoint: c.Endpoint, transport: c.Transport}
	if b.transport == nil {
		b.transport = object.NewTransport()
	}
	client, err := oss.New(c.Endpoint, c.AccessKeyID, c.AccessKeySecret.Reveal(),
		oss.AuthVersion(oss.AuthV4), oss.Region(c.Region), oss.EnableCRC(true), oss.EnableMD5(false),
		oss.HTTPClient(&http.Client{Transport: strict{object.Watched{Base: b.transport, RequestID: oss.HTTPHeaderOssRequestID}}}))
	if err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	if b.bucket, err = client.Bucket(c.Bucket); err != nil {
		return nil, fmt.Errorf("bucket: %w", err)
	}
	return b, nil
}

// Close is store.Backend's.
func (b *Backend) Close() error {
	b.transport.CloseIdleConnections()
	return nil
}

// Delete is store.Backend's.
func (b *Backend) Delete(ctx context.Context, key store.Key) error {
	if err := key.CheckAny(); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	return b.delete(ctx, b.names.Object(key))
}

func (b *Backend) delete(ctx context.Context, name string) error {
	c := b.begin(ctx, "delete", name)
	if err := b.bucket.DeleteObject(name, c.options()...); err != nil {
		if err = c.failed(ctx, err); !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}
