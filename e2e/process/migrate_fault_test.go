//go:build servers

package process

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/faultproxy"
	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/e2e/s3server"
	"github.com/osproxy/osproxy/protocol"
)

// trouble is a fault that happens in the middle of a migration. Where the answer
// is withheld, the daemon is killed then, and started again.
type trouble struct {
	fault faultproxy.Fault
	of    string // "put", "get"
}

// TestMigrationFaults has a fault happen in the middle of a migration from a
// folder to a bucket, where it puts or reads back, and one in the middle of that
// back, where it reads. Each ends as if nothing had been: all was moved, nothing
// counts as damaged, and nothing is left where it was.
func TestMigrationFaults(t *testing.T) {
	minio := s3server.Start(t, s3server.MinIO())
	for _, c := range []struct{ there, back trouble }{
		{trouble{faultproxy.ResetMidUpload, "put"}, trouble{faultproxy.ResetMidDownload, "get"}},
		{trouble{faultproxy.ResetAfterUpload, "put"}, trouble{faultproxy.EndAfterDownload, "get"}},
		{trouble{faultproxy.LostReply, "put"}, trouble{faultproxy.LostReply, "get"}},
		{trouble{faultproxy.WrongUpload, "put"}, trouble{faultproxy.WrongDownload, "get"}},
		{trouble{faultproxy.Unavailable, "put"}, trouble{faultproxy.Unavailable, "get"}},
		{trouble{faultproxy.Truncated, "get"}, trouble{faultproxy.Truncated, "get"}},
		{trouble{faultproxy.WrongDownload, "get"}, trouble{faultproxy.TooMany, "get"}},
		{trouble{faultproxy.Withheld, "put"}, trouble{faultproxy.Withheld, "get"}},
		{trouble{faultproxy.Withheld, "get"}, trouble{faultproxy.ResetMidDownload, "get"}},
	} {
		t.Run(fmt.Sprintf("%s of a %s", c.there.fault, c.there.of), func(t *testing.T) {
			t.Parallel() // most of it is waiting
			b := newBeside(t, onS3(t, minio))
			k := &keeping{t: t, files: map[protocol.UID]held{}}
			api := b.daemon.API()
			for i, size := range []int64{0, 1000, 5<<20 + 1, 2 * protocol.BlockSize, 16 << 10, 16<<10 + 1, 16<<10 + 2, 16<<10 + 3, 1, 300_000} {
				data := harness.Content(uint64(7000+i), size)
				if size > protocol.OneShotMax {
					k.hold(api, api.MustUpload("large", data), data)
					continue
				}
				k.hold(api, api.MustFile(api.PutFile("small", data), http.StatusCreated), data)
			}
			b.moves(k, "disk", "remote", c.there)
			b.moves(k, "remote", "disk", c.back)
		})
	}
}

// newBeside starts a daemon with a folder, where new files go, and a storage
// behind a proxy that breaks things.
func newBeside(t *testing.T, s storage) *behind {
	t.Helper()
	b := &behind{t: t, proxy: faultproxy.New(t, s.url)}
	dir := t.TempDir()
	b.config = filepath.Join(dir, "ospd.yaml")
	text := fmt.Sprintf("default_store: disk\nstores:\n  disk: {type: local, path: %q}\n  remote: %s\n", filepath.Join(dir, "disk"), s.config(b.proxy.URL))
	if err := os.WriteFile(b.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b.daemon = harness.StartDaemon(t, bin, t.TempDir(), "--config", b.config)
	return b
}

// moves moves all there is, while the trouble happens, and looks at everything
// after that.
func (b *behind) moves(k *keeping, from, to string, tr trouble) {
	b.t.Helper()
	match := map[string]faultproxy.Match{"put": faultproxy.Put, "get": faultproxy.Get}[tr.of]
	before := b.proxy.Hits(tr.fault)
	b.proxy.Inject(tr.fault, 1, behindFirst(4, match))
	api := b.daemon.API()
	ans := api.JSON(http.MethodPost, "/v1/jobs", map[string]any{"kind": protocol.JobMigrate, "args": map[string]any{"from": from, "to": to}})
	api.Require(ans, http.StatusCreated)
	if tr.fault == faultproxy.Withheld {
		harness.Eventually(b.t, "the migration waits for an answer", func() bool { return b.proxy.Hits(tr.fault) > before })
		b.daemon.Kill()
		b.daemon.Start()
	}
	var j protocol.Job
	harness.Eventually(b.t, "the migration ends", func() bool {
		j = newest(b.t, b.daemon.API())
		return j.State.Ended()
	})
	if j.State != protocol.JobDone || j.Progress == nil || !strings.Contains(j.Progress.Note, " 0 skipped, 0 damaged, 0 waiting") {
		b.t.Errorf("%s of a %s, from %s to %s: %+v at %+v", tr.fault, tr.of, from, to, j, j.Progress)
	}
	if b.proxy.Hits(tr.fault) != before+1 {
		b.t.Errorf("%s has not happened to a %s in the migration from %s to %s", tr.fault, tr.of, from, to)
	}
	b.clean()
	if left := b.objectsIn(from); left != 0 {
		b.t.Errorf("%d objects are left in %s", left, from)
	}
	if moved := b.objectsIn(to); moved != len(k.files)-1 { // the empty file has none
		b.t.Errorf("%d objects are in %s, of %d files", moved, to, len(k.files))
	}
	b.daemon.Start()
	k.check(b.daemon.API())
	alone(b.t, b.daemon.API(), to, from)
}

// behindFirst matches what match does, but for the first n of it.
func behindFirst(n int, match faultproxy.Match) faultproxy.Match {
	return func(r *http.Request) bool {
		if match(r) {
			n--
			return n < 0
		}
		return false
	}
}

// objectsIn counts what is stored in one of the stores of newBeside.
func (b *behind) objectsIn(name string) (n int) {
	b.t.Helper()
	if name == "remote" {
		for _, err := range b.backend().List(b.t.Context(), "", "") {
			if err != nil {
				b.t.Fatal(err)
			}
			n++
		}
		return n
	}
	err := filepath.WalkDir(filepath.Join(filepath.Dir(b.config), "disk"), func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && len(e.Name()) == 32 {
			n++
		}
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}
