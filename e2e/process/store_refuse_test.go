//go:build servers

package process

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/e2e/s3server"
)

// TestStoresThatAreRefused starts daemons whose store cannot be used. Each ends
// with the exit code for stores, and names the store and what to look at; none
// says a secret. Only one whose store does not answer goes on without it.
func TestStoresThatAreRefused(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	for _, s := range storages(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			good := s.config(s.url)
			for _, c := range []struct{ name, config, says string }{
				{"a wrong secret", strings.ReplaceAll(good, s.secret, "not-"+s.secret), s.secretKey},
				{"an unknown account", strings.ReplaceAll(good, s.account, "not-"+s.account), s.accountKey},
				{"a bucket that is not there", s.elsewhere(s.url), s.bucketKey},
				{"another region", s.inRegion("eu-nowhere-9"), "region"},
			} {
				if c.config == "" {
					continue
				}
				t.Run(c.name, func(t *testing.T) {
					exit, said := refusedStore(t, c.config)
					if exit != exitStore || !strings.Contains(said, "remote") || !strings.Contains(said, c.says) {
						t.Errorf("exit %d, without %q: %s", exit, c.says, said)
					}
					if strings.Contains(said, s.secret) {
						t.Errorf("the secret is printed: %s", said)
					}
				})
			}
			t.Run("two names of one bucket", func(t *testing.T) {
				alias := strings.Replace(s.url, "127.0.0.1", "localhost", 1)
				if s.addressKey != "endpoint" || s.name == "oss" {
					return // the front is known by its address alone
				}
				empty := s.emptied(t)
				exit, said := refusedStore(t, empty.config(s.url)+"\n  alias: "+empty.config(alias)+"\ndefault_store: remote")
				if exit != exitStore || !strings.Contains(said, `"remote`) || !strings.Contains(said, "one place under two names") {
					t.Errorf("exit %d: %s", exit, said)
				}
			})
			t.Run("nobody at the address", func(t *testing.T) { notReached(t, s.config(nobody), s) })
			t.Run("another installation's", func(t *testing.T) {
				b := newBehind(t, s)
				b.daemon.Stop()
				exit, said := refusedStore(t, s.config(s.url))
				if exit != exitStore || !strings.Contains(said, "remote") || !strings.Contains(said, "another installation") {
					t.Errorf("exit %d: %s", exit, said)
				}
			})
		})
	}
}

// notReached starts a daemon whose store does not answer: it starts, and says so.
func notReached(t *testing.T, config string, s storage) {
	path := filepath.Join(t.TempDir(), "ospd.yaml")
	if err := os.WriteFile(path, []byte("stores:\n  remote: "+config+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := harness.StartDaemon(t, bin, t.TempDir(), "--config", path)
	if ans := d.API().JSON("GET", "/readyz", nil); ans.Status != http.StatusServiceUnavailable || !strings.Contains(string(ans.Body), "remote") {
		t.Errorf("/readyz: %d %s", ans.Status, ans.Body)
	}
	ans := d.API().JSON("GET", "/v1/stores", nil)
	if said := string(ans.Body) + d.Stderr(); !strings.Contains(string(ans.Body), s.addressKey) || strings.Contains(said, s.secret) {
		t.Errorf("without %q, or with the secret: %s", s.addressKey, said)
	}
	if exit := d.Stop(); exit != 0 {
		t.Errorf("it left with %d", exit)
	}
}

// inRegion is the configuration with another region, "" where it has none.
func (s storage) inRegion(region string) string {
	if s.region == "" {
		return ""
	}
	return strings.ReplaceAll(s.config(s.url), "region: "+s.region, "region: "+region)
}

// TestClocksThatDiffer starts daemons whose clock is an hour behind that of the
// vendor, which takes no signature of theirs then.
func TestClocksThatDiffer(t *testing.T) {
	minio := s3server.Start(t, s3server.MinIO())
	for _, s := range []storage{onOSS(t, minio, time.Hour), onCOS(t, minio, time.Hour)} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			exit, said := refusedStore(t, s.config(s.url))
			if exit != exitStore || !strings.Contains(said, "remote") || !strings.Contains(said, "clock") {
				t.Errorf("exit %d: %s", exit, said)
			}
		})
	}
}

func refusedStore(t *testing.T, config string) (exit int, said string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ospd.yaml")
	if err := os.WriteFile(path, []byte("stores:\n  remote: "+config+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return harness.Refused(t, bin, t.TempDir(), "--config", path)
}
