package open_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/open"
)

func TestBackend(t *testing.T) {
	b, err := open.Backend(t.Context(), open.Config{Type: "local", Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Mark(t.Context()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("opening marked the store: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	for _, c := range []open.Config{{}, {Type: "ftp", Path: "x"}, {Type: "mem"}, {Type: "LOCAL", Path: t.TempDir()}} {
		b, err := open.Backend(t.Context(), c)
		if b != nil || err == nil || !strings.Contains(err.Error(), "known types: local") {
			t.Errorf("%+v: %v, %v", c, b, err)
		}
	}
	if b, err := open.Backend(t.Context(), open.Config{Type: "local"}); b != nil || err == nil {
		t.Errorf("a local store without a path: %v, %v", b, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := open.Backend(ended, open.Config{Type: "local", Path: t.TempDir()}); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: %v", err)
	}
}
