// Package cos keeps blobs in a bucket of Tencent COS. The calls are the SDK's,
// each tried once; what the SDK hides or takes for success is looked at here.
package cos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/tencentyun/cos-go-sdk-v5"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// mediaType is what objects of ours are said to be.
const mediaType = "application/octet-stream"

// checksumHeader is the CRC-64 of an object, in the decimal system.
const checksumHeader = "X-Cos-Hash-Crc64ecma"

// requestHeader is the id of a request, which every answer has.
const requestHeader = "X-Cos-Request-Id"

// Config describes a bucket.
type Config struct {
	// URL is the bucket's: https://files-1250000000.cos.ap-nanjing.myqcloud.com.
	URL       string
	Prefix    string
	SecretID  string
	SecretKey store.Secret
	// Transport is the way to the service, this backend's alone; nil makes one.
	Transport *http.Transport
}

// Backend is a store.Backend, Composer, Browser, Checker and BatchDeleter on COS.
type Backend struct {
	client    *cos.Client
	names     object.Names
	host      string
	transport *http.Transport
}

var (
	_ store.Backend      = (*Backend)(nil)
	_ store.Composer     = (*Backend)(nil)
	_ store.Browser      = (*Backend)(nil)
	_ store.Checker      = (*Backend)(nil)
	_ store.BatchDeleter = (*Backend)(nil)
)

// ParseURL reads a bucket's URL, and refuses what the SDK would find wrong at
// the first request only.
func ParseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return nil, errors.New("must be a bucket's, like https://files-1250000000.cos.ap-nanjing.myqcloud.com")
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("%q has more than a host; a folder in the bucket is prefix", u.Redacted())
	}
	u.Host, u.Path, u.RawPath = strings.ToLower(u.Host), "", ""
	if !(&cos.BaseURL{BucketURL: u}).Check() {
		return nil, fmt.Errorf("%q is not the name of a bucket of COS", text)
	}
	return u, nil
}

// New makes a Backend. It sends nothing.
func New(c Config) (*Backend, error) {
	names, err := object.NewNames(c.Prefix)
	if err != nil {
		return nil, fmt.Errorf("prefix: %w", err)
	}
	u, err := ParseURL(c.URL)
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	b := &Backend{names: names, host: u.Host, transport: c.Transport}
	if b.transport == nil {
		b.transport = object.NewTransport()
	}
	b.client = cos.NewClient(&cos.BaseURL{BucketURL: u}, &http.Client{Transport: &cos.AuthorizationTransport{
		SecretID: c.SecretID, SecretKey: c.SecretKey.Reveal(), Transport: object.Watched{Base: b.transport, RequestID: requestHeader},
	}})
	// Whoever calls tries again, and waits before; the checksum is compared here,
	// where a wrong object can be deleted.
	b.client.Conf.RetryOpt.Count = 1
	b.client.Conf.EnableCRC = false
	return b, nil
}

// Close is store.Backend's.
func (b *Backend) Close() error {
	b.transport.CloseIdleConnections()
	return nil
}

// settings are what Check tells to look at.
var settings = object.Settings{Endpoint: "url", Region: "url", Bucket: "url", KeyID: "secret_id", Secret: "secret_key"}

// Delete is store.Backend's.
func (b *Backend) Delete(ctx context.Context, key store.Key) error {
	if err := key.CheckAny(); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	return b.delete(ctx, b.names.Object(key))
}

func (b *Backend) delete(ctx context.Context, name string) error {
	c := begin(ctx, "delete", name)
	if err := checkName(name); err != nil {
		return c.failed(err)
	}
	if _, err := b.client.Object.Delete(c.ctx, name); err != nil {
		if err = c.failed(err); !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

// checkName refuses what the SDK makes the bucket itself of: it would be asked
// for, and deleted, instead.
func checkName(name string) error {
	if !cos.CheckObjectKeySimplify("/" + name) {
		return fmt.Errorf("the name stands for the bucket: %w", store.ErrKey)
	}
	return nil
}
