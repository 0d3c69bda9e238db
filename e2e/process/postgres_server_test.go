//go:build postgres || servers

package process

import (
	"testing"

	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
	"github.com/osproxy/osproxy/e2e/harness"
)

// postgres is a server of the test's own with an empty database. A durable one
// keeps what it acknowledged when it crashes.
func postgres(t *testing.T, durable bool) (server *pgtest.Server, address string) {
	t.Helper()
	server, err := pgtest.Start(t.Context(), durable)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	if _, err := pgtest.Create(t.Context(), server.Dir(), "ospd", "template0"); err != nil {
		t.Fatal(err)
	}
	return server, server.URL("ospd")
}

func stop(t *testing.T, d *harness.Daemon) {
	t.Helper()
	if exit := d.Stop(); exit != 0 {
		t.Errorf("ospd left with %d:\n%s", exit, d.Stderr())
	}
}
