package s3_test

import (
	"io"
	"testing"

	"go.uber.org/goleak"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/s3"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens a backend for one test. To close it twice is no harm.
func open(t testing.TB, c s3.Config) *s3.Backend {
	t.Helper()
	b, err := s3.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func read(t testing.TB, b *s3.Backend, key store.Key) []byte {
	t.Helper()
	r, err := b.Get(t.Context(), key, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
