//go:build servers

package oss_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	sdk "github.com/aliyun/aliyun-oss-go-sdk/oss"

	"github.com/osproxy/osproxy/e2e/front"
	"github.com/osproxy/osproxy/e2e/s3server"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
	backend "github.com/osproxy/osproxy/store/oss"
	"github.com/osproxy/osproxy/store/storetest/gotest"
)

// upstream is a new bucket of a MinIO for the test.
func upstream(t *testing.T) front.Upstream {
	t.Helper()
	s := s3server.Start(t, s3server.MinIO())
	return front.Upstream{URL: s.Endpoint, Region: s.Region, Bucket: s.Bucket(t), AccessKeyID: s.AccessKeyID, SecretAccessKey: s.SecretAccessKey}
}

// store makes a backend that comes to the front, by whatever name.
func (s *served) store(t *testing.T, c backend.Config) *backend.Backend {
	t.Helper()
	c.Region, c.Bucket, c.AccessKeyID, c.AccessKeySecret = vendor.Region, vendor.Bucket, vendor.AccessKeyID, store.NewSecret(vendor.AccessKeySecret)
	c.Transport = object.NewTransport()
	c.Transport.DialContext = to(s.addr)
	b, err := backend.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// foreign is a backend, and a way past it.
type foreign struct {
	*backend.Backend
	bucket *sdk.Bucket
}

// PutForeign is storetest.ForeignPutter's.
func (f foreign) PutForeign(ctx context.Context, name, mediaType string, data []byte) error {
	err := f.bucket.PutObject(name, bytes.NewReader(data), sdk.WithContext(ctx), sdk.ContentType(mediaType))
	var e sdk.ServiceError
	if errors.As(err, &e) && e.StatusCode == http.StatusBadRequest {
		return fmt.Errorf("%w: %w", store.ErrUnsupported, err)
	}
	return err
}

// TestBackend is the contract of a store, at the vendor's own name.
func TestBackend(t *testing.T) {
	s := serve(t, upstream(t), nil)
	bucket := s.ours(t)
	var cases atomic.Int64
	gotest.Run(t, func(t *testing.T) store.Backend {
		c := backend.Config{Endpoint: "http://" + vendor.Endpoint(), Prefix: fmt.Sprintf("case/%d", cases.Add(1))}
		return foreign{s.store(t, c), bucket}
	})
}

// TestComposedObjectsAreVerified: the front computes the sums over the bytes
// that the S3 server has. It is reached as a daemon reaches it, at an address.
func TestComposedObjectsAreVerified(t *testing.T) {
	s := serve(t, upstream(t), nil)
	b := s.store(t, backend.Config{Endpoint: s.url})
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := b.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	var pieces []store.Piece
	for i, n := range []int{6 << 20, 1, 300_000, 0, 200_000, 8 << 20, 17} {
		key := store.NewKey("00000001")
		if err := b.Put(t.Context(), key, bytes.NewReader(bytes.Repeat([]byte{byte(i)}, n)), int64(n)); err != nil {
			t.Fatal(err)
		}
		pieces = append(pieces, store.Piece{Key: key, Length: int64(n)})
	}
	key := store.NewKey("00000002")
	id, err := b.BeginCompose(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if verified, err := b.Compose(t.Context(), key, id, pieces); !verified || err != nil {
		t.Errorf("compose: %t, %v", verified, err)
	}
	if n := s.Calls(front.UploadPartCopy); n < 3 {
		t.Errorf("%d parts were copied by the storage", n)
	}
}

// TestTextsArriveAsTheyAre: an object that was in the bucket before may be one
// that OSS would compress.
func TestTextsArriveAsTheyAre(t *testing.T) {
	s := serve(t, upstream(t), nil)
	b := s.store(t, backend.Config{Endpoint: s.url})
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	text := bytes.Repeat([]byte("a text "), 1000)
	if err := (foreign{b, s.ours(t)}).PutForeign(t.Context(), "text.txt", "text/plain", text); err != nil {
		t.Fatal(err)
	}
	r, err := b.Get(t.Context(), store.ForeignKey("text.txt"), 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, text) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// TestVersionedBucket: a bucket that has versioning, or had it, is refused at
// the start, and before it holds anything; and where nobody may look whether it
// has, the mark that is not kept tells.
func TestVersionedBucket(t *testing.T) {
	s := serve(t, upstream(t), nil)
	ctx := t.Context()
	open := func(prefix string) *backend.Backend {
		b := s.store(t, backend.Config{Endpoint: "http://" + vendor.Endpoint(), Prefix: prefix})
		t.Cleanup(func() { _ = b.Close() })
		return b
	}
	for _, status := range []string{"Enabled", "Suspended"} {
		for _, hidden := range []bool{false, true} {
			what := fmt.Sprint(status, ", hidden ", hidden)
			s.SetVersioning(front.Versioning{Hidden: hidden})
			used, fresh := open("used/"+status+fmt.Sprint(hidden)), open("fresh/"+status+fmt.Sprint(hidden))
			if err := errors.Join(used.Check(ctx), used.SetMark(ctx, "one"), used.Check(ctx)); err != nil {
				t.Fatalf("%s: without versioning: %v", what, err)
			}
			s.SetVersioning(front.Versioning{Status: status, Hidden: hidden})
			err := used.Check(ctx)
			if !errors.Is(err, store.ErrUnsupported) || !strings.Contains(err.Error(), "versioning") || store.MayPass(err) {
				t.Errorf("%s: check of a store in use: %v", what, err)
			}
			if m, err := used.Mark(ctx); m != "one" || err != nil {
				t.Errorf("%s: the mark is %q, %v", what, m, err)
			}
			if err := errors.Join(fresh.Check(ctx), fresh.SetMark(ctx, "one")); !errors.Is(err, store.ErrUnsupported) {
				t.Errorf("%s: a new store: %v", what, err)
			}
			if err := fresh.Check(ctx); !errors.Is(err, store.ErrUnsupported) {
				t.Errorf("%s: a new store, the second time: %v", what, err)
			}
		}
	}
	if s.Calls(front.GetBucketVersioning) == 0 {
		t.Error("nobody asked")
	}
}
