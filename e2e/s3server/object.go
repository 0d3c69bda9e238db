//go:build unix

package s3server

import (
	"bytes"
	"testing"

	"github.com/minio/minio-go/v7"
)

// PutObject puts an object into a bucket, as others do who use the server.
func (s *Server) PutObject(t testing.TB, bucket, name, mediaType string, data []byte) {
	t.Helper()
	if err := s.with(func(c *minio.Client) error {
		_, err := c.PutObject(t.Context(), bucket, name, bytes.NewReader(data), int64(len(data)), minio.PutObjectOptions{ContentType: mediaType})
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
