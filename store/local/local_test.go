package local_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/local"
	"github.com/osproxy/osproxy/store/local/record"
	"github.com/osproxy/osproxy/store/storetest/gotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformanceOnDisk(t *testing.T) {
	gotest.Run(t, func(t *testing.T) store.Backend { return open(t, local.Config{Path: t.TempDir()}) })
}

func TestConformanceOnRecording(t *testing.T) {
	gotest.Run(t, func(t *testing.T) store.Backend { return open(t, local.Config{FS: record.New()}) })
}

// open opens a local backend, or fails the test.
func open(t testing.TB, c local.Config) *local.Backend {
	t.Helper()
	b, err := local.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
