//go:build servers

package cos_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	sdk "github.com/tencentyun/cos-go-sdk-v5"

	"github.com/osproxy/osproxy/e2e/front"
	"github.com/osproxy/osproxy/e2e/s3server"
	"github.com/osproxy/osproxy/store"
	backend "github.com/osproxy/osproxy/store/cos"
	"github.com/osproxy/osproxy/store/object"
	"github.com/osproxy/osproxy/store/storetest/gotest"
)

// bucket is a backend, and a way past it.
type bucket struct {
	*backend.Backend
	client *sdk.Client
}

// PutForeign is storetest.ForeignPutter's.
func (b bucket) PutForeign(ctx context.Context, name, mediaType string, data []byte) error {
	_, err := b.client.Object.Put(ctx, name, bytes.NewReader(data), &sdk.ObjectPutOptions{
		ObjectPutHeaderOptions: &sdk.ObjectPutHeaderOptions{ContentType: mediaType},
	})
	var e *sdk.ErrorResponse
	if errors.As(err, &e) && e.Response.StatusCode == http.StatusBadRequest {
		return fmt.Errorf("%w: %w", store.ErrUnsupported, err)
	}
	return err
}

// open makes a backend of a folder of its own.
func (s *served) open(t *testing.T, url, prefix string) *backend.Backend {
	t.Helper()
	c := backend.Config{
		URL: url, Prefix: prefix, SecretID: vendor.SecretID, SecretKey: store.NewSecret(vendor.SecretKey), Transport: object.NewTransport(),
	}
	c.Transport.DialContext = to(s.addr)
	b, err := backend.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestBackend is the contract of a store.
func TestBackend(t *testing.T) {
	s := serve(t, s3server.MinIO(), nil)
	var cases atomic.Int64
	gotest.Run(t, func(t *testing.T) store.Backend {
		return bucket{s.open(t, "http://"+vendor.Host(), fmt.Sprintf("case/%d", cases.Add(1))), s.client}
	})
}

// TestAtAnAddress: the bucket is the front's where the URL does not name it.
func TestAtAnAddress(t *testing.T) {
	s := serve(t, s3server.MinIO(), nil)
	b := s.open(t, s.url, "")
	defer b.Close()
	ctx, data := t.Context(), bytes.Repeat([]byte("0123456789"), 300_000)
	if err := errors.Join(b.Check(ctx), b.SetMark(ctx, "installation")); err != nil {
		t.Fatal(err)
	}
	var pieces []store.Piece
	for range 2 {
		key := store.NewKey("00000001")
		if err := b.Put(ctx, key, bytes.NewReader(data), int64(len(data))); err != nil {
			t.Fatal(err)
		}
		pieces = append(pieces, store.Piece{Key: key, Length: int64(len(data))})
	}
	key := store.NewKey("00000001")
	id, err := b.BeginCompose(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"compose", "compose again"} {
		if verified, err := b.Compose(ctx, key, id, pieces); err != nil || !verified {
			t.Errorf("%s: verified %v, %v", what, verified, err)
		}
	}
	wantObject(t, s, string(key), append(data, data...))
	if n := s.Calls(front.UploadPartCopy); n != 2 {
		t.Errorf("%d parts were copied", n)
	}
}

// TestVersionedBucket: a bucket that has versioning, or had it, is refused at
// the start, and before it holds anything; and where nobody may look whether it
// has, the mark that is not kept tells.
func TestVersionedBucket(t *testing.T) {
	s := serve(t, s3server.MinIO(), nil)
	ctx := t.Context()
	open := func(prefix string) *backend.Backend {
		b := s.open(t, "http://"+vendor.Host(), prefix)
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
