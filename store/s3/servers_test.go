//go:build servers && unix

package s3_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/osproxy/osproxy/e2e/s3server"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/s3"
	"github.com/osproxy/osproxy/store/storetest/gotest"
)

// onServers runs f once for each kind of server.
func onServers(t *testing.T, f func(*testing.T, *s3server.Server)) {
	for _, k := range s3server.Kinds() {
		t.Run(k.Name, func(t *testing.T) { f(t, s3server.Start(t, k)) })
	}
}

func configOf(s *s3server.Server, bucket, prefix string) s3.Config {
	return s3.Config{
		Endpoint: s.Endpoint, Region: s.Region, Bucket: bucket, Prefix: prefix, PathStyle: true,
		AccessKeyID: s.AccessKeyID, SecretAccessKey: store.NewSecret(s.SecretAccessKey),
	}
}

// beside is a backend beside whose objects others can be put.
type beside struct {
	*s3.Backend

	c      *minio.Client
	bucket string
}

func (b beside) PutForeign(ctx context.Context, name, mediaType string, data []byte) error {
	_, err := b.c.PutObject(ctx, b.bucket, name, bytes.NewReader(data), int64(len(data)), minio.PutObjectOptions{ContentType: mediaType})
	switch code := minio.ToErrorResponse(err).Code; {
	case strings.Contains(code, "InvalidObjectName"), strings.Contains(code, "KeyTooLong"), strings.Contains(code, "InvalidResourceName"), strings.Contains(code, "DirectoryObjectContainsData"), code == "InvalidArgument":
		return store.ErrUnsupported
	case err != nil, !strings.Contains("/"+name, "//") && !strings.Contains(name, "/."):
		return err
	}
	// A server on a file system makes another name of it.
	for o := range b.c.ListObjectsIter(ctx, b.bucket, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil || o.Key == name {
			return o.Err
		}
	}
	return errors.Join(store.ErrUnsupported, b.c.RemoveObject(ctx, b.bucket, name, minio.RemoveObjectOptions{}))
}

func openBeside(t *testing.T, s *s3server.Server, prefix string) beside {
	t.Helper()
	c := configOf(s, s.Bucket(t), prefix)
	b := open(t, c)
	client, err := minio.New(strings.TrimPrefix(s.Endpoint, "http://"), &minio.Options{
		Creds: credentials.NewStaticV4(s.AccessKeyID, s.SecretAccessKey, ""), Region: s.Region, BucketLookup: minio.BucketLookupPath, MaxRetries: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return beside{b, client, c.Bucket}
}

func TestConformance(t *testing.T) {
	onServers(t, func(t *testing.T, s *s3server.Server) {
		for _, prefix := range []string{"", "some/folder"} {
			t.Run("prefix "+prefix, func(t *testing.T) {
				gotest.Run(t, func(t *testing.T) store.Backend { return openBeside(t, s, prefix) })
			})
		}
	})
}

// TestChecksOfServers: what is wrong is told with the setting to look at.
func TestChecksOfServers(t *testing.T) {
	onServers(t, func(t *testing.T, s *s3server.Server) {
		good := configOf(s, s.Bucket(t), "")
		for _, c := range []struct {
			name   string
			change func(*s3.Config)
			want   error
			says   string
		}{
			{"right", func(*s3.Config) {}, nil, ""},
			{"secret", func(c *s3.Config) { c.SecretAccessKey = store.NewSecret("another-secret") }, store.ErrDenied, "secret_access_key"},
			{"account", func(c *s3.Config) { c.AccessKeyID = "nobody" }, store.ErrDenied, "access_key_id"},
			{"bucket", func(c *s3.Config) { c.Bucket = "absent" }, store.ErrNoBucket, "bucket"},
			{"region", func(c *s3.Config) { c.Region = "eu-west-1" }, store.ErrRegion, "region"},
		} {
			config := good
			c.change(&config)
			b := open(t, config)
			err := b.Check(t.Context())
			if !errors.Is(err, c.want) || (err != nil && (c.want == nil || !strings.Contains(err.Error(), "look at") || !strings.Contains(err.Error(), c.says))) {
				t.Errorf("wrong %s: %v", c.name, err)
			}
			if err != nil && (strings.Contains(err.Error(), "another-secret") || strings.Contains(err.Error(), s.SecretAccessKey)) {
				t.Errorf("wrong %s: the error tells the secret: %v", c.name, err)
			}
			if c.want == nil {
				continue
			}
			key := store.NewKey("00000001")
			for what, err := range map[string]error{
				"put": b.Put(t.Context(), key, strings.NewReader("x"), 1), "stat": second(b.Stat(t.Context(), key)), "get": second(b.Get(t.Context(), key, 0, 1)),
			} {
				if errors.Is(err, store.ErrNotFound) || err == nil {
					t.Errorf("wrong %s: %s: %v", c.name, what, err)
				}
			}
		}
		b := open(t, good)
		if err := b.SetMark(t.Context(), "one"); err != nil {
			t.Fatal(err)
		}
		if err := b.Check(t.Context()); err != nil {
			t.Errorf("check of a marked store: %v", err)
		}
		if note := b.Note(); note != "" {
			t.Errorf("both servers take checksums: %s", note)
		}
		if m, err := b.Mark(t.Context()); m != "one" || err != nil {
			t.Errorf("the check changed the mark: %q, %v", m, err)
		}
	})
}

func second[T any](_ T, err error) error { return err }

// TestComposingIsVerified: both servers let us know that what they joined is
// right, MinIO by MD5s and versitygw by a CRC-64 that it has of every object.
func TestComposingIsVerified(t *testing.T) {
	onServers(t, func(t *testing.T, s *s3server.Server) {
		b := open(t, configOf(s, s.Bucket(t), "p"))
		if err := b.SetMark(t.Context(), "one"); err != nil {
			t.Fatal(err)
		}
		var pieces []store.Piece
		var want []byte
		for i, n := range []int{5 << 20, 1000, 11 << 20, 70_000, 3} {
			data := bytes.Repeat([]byte{byte('a' + i)}, n)
			p := store.Piece{Key: store.NewKey("00000001"), Length: int64(n)}
			if err := b.Put(t.Context(), p.Key, bytes.NewReader(data), p.Length); err != nil {
				t.Fatal(err)
			}
			pieces, want = append(pieces, p), append(want, data...)
		}
		for _, c := range []struct {
			name   string
			pieces []store.Piece
			want   []byte
		}{{"whole objects", []store.Piece{pieces[0], pieces[2], pieces[4]}, nil}, {"short ones at the end", []store.Piece{pieces[0], pieces[1], pieces[3]}, nil}} {
			key := store.NewKey("00000002")
			id, err := b.BeginCompose(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			if verified, err := b.Compose(t.Context(), key, id, c.pieces); err != nil || !verified {
				t.Errorf("%s: verified %t, %v", c.name, verified, err)
			}
		}
		// A piece that is taken from a neighbour in part has no MD5.
		key := store.NewKey("00000002")
		id, err := b.BeginCompose(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		verified, err := b.Compose(t.Context(), key, id, pieces)
		if err != nil || verified != (s.Kind.Name == "versitygw") {
			t.Errorf("all: verified %t, %v", verified, err)
		}
		if got := read(t, b, key); !bytes.Equal(got, want) {
			t.Errorf("%d bytes, want %d", len(got), len(want))
		}
		for u, err := range b.Unfinished(t.Context()) {
			t.Errorf("unfinished: %+v, %v", u, err)
		}
	})
}
