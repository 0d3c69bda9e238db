//go:build postgres

package process

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
)

// certified starts a node of the cluster on a database, with a store on a disk of
// its own and a certificate of the authority in ca, as docs/containers.md has it.
func certified(t *testing.T, address, ca string) *harness.Daemon {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	p := harness.Start(t, nil, "", bin.OSPD, "peer-cert", "--ca", ca, "--data", data)
	if exit := p.Wait(); exit != 0 {
		t.Fatalf("peer-cert: %d: %s", exit, p.Stderr())
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	const text = "db: %q\ncluster: {peer_listen: %q, tls: {cert: %q, key: %q, ca: %q}}\n"
	in := func(name string) string { return filepath.Join(data, "peer", name) }
	config := fmt.Appendf(nil, text, address, listen, in("peer.crt"), in("peer.key"), in("ca.crt"))
	return harness.StartDaemon(t, bin, data, "--config", harness.WriteFile(t, "ospd.yaml", config))
}

// TestPostgresPeersOverTLS: nodes whose certificates `ospd peer-cert` made, each
// before its first start, hand requests to each other; one with those of another
// authority reads the same database, and no byte that lies with them.
func TestPostgresPeersOverTLS(t *testing.T) {
	_, address := postgres(t, false)
	ca := filepath.Join(t.TempDir(), "ca")
	a, b := certified(t, address, ca), certified(t, address, ca)
	data := harness.Content(5, 9<<20)
	f := a.API().MustUpload("at a", data)
	b.API().MustHold(f.UID, data)
	stranger := certified(t, address, t.TempDir())
	if ans := stranger.API().Content(f.UID); ans.Err != nil || ans.Status != http.StatusServiceUnavailable {
		t.Errorf("a node that the others do not believe: %d, %v: %.200s", ans.Status, ans.Err, ans.Body)
	}
	b.API().MustHold(f.UID, data)
	for _, d := range []*harness.Daemon{stranger, b, a} {
		stop(t, d)
	}
}
