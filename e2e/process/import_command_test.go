//go:build servers

package process

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/faultproxy"
	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/e2e/s3server"
	"github.com/osproxy/osproxy/protocol"
)

// TestImportCommandOnABucket: osp admin import makes files of the objects below
// a prefix, and of no others, as copies and in place, and prints of each its path
// and uid; the second time the same.
func TestImportCommandOnABucket(t *testing.T) {
	for _, kind := range s3server.Kinds() {
		server := s3server.Start(t, kind)
		for _, how := range []string{"copied", "in place"} {
			t.Run(kind.Name+" "+how, func(t *testing.T) {
				s := onS3(t, server)
				contents := map[string][]byte{"photos/a b/ü.jpg": harness.Content(1, 3000), "photos/large": harness.Content(2, 9<<20), "photos/one": {1}}
				for name, data := range contents {
					s.put(t, name, "image/x-test", data)
				}
				s.put(t, "photographs", "image/x-test", []byte("another one"))
				b := newBeside(t, s)
				im := b.importer(how == "in place")
				first := im.run(contents, "3 objects: 3 imported, 0 there already, 0 failed; files of ", protocol.ImportImported)
				again := im.run(contents, "3 objects: 0 imported, 3 there already, 0 failed; files of ", protocol.ImportAlready)
				for path, uid := range first {
					if again[path] != uid {
						t.Errorf("%s is %s, and was %s", path, again[path], uid)
					}
					f := b.daemon.API().MustFile(b.daemon.API().Do(http.MethodGet, "/v1/files/"+uid.String(), nil, 0), http.StatusOK)
					if "photos/"+f.Name != path || f.MediaType == nil || *f.MediaType != "image/x-test" {
						t.Errorf("%s became %+v", path, f)
					}
				}
				im.holds(first, contents)
			})
		}
	}
}

// TestKilledImportFromABucket: osp and the daemon are killed while an import waits
// for an object of a bucket, and the command is run again: it tells each path once,
// as does the manifest of the first one, which went on by itself.
func TestKilledImportFromABucket(t *testing.T) {
	minio := s3server.Start(t, s3server.MinIO())
	for _, how := range []struct {
		name   string
		method string // how each object is asked for
		count  int    // more than a page
		killed int    // in the second page
	}{{"copied", http.MethodGet, 150, 100}, {"in place", http.MethodHead, 300, 280}} {
		t.Run(how.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			s := onS3(t, minio)
			contents := map[string][]byte{}
			for n := range how.count {
				name := fmt.Sprintf("photos/%d/%d.txt", n%7, n)
				contents[name] = []byte(strings.Repeat(fmt.Sprintf("%d ", n), 1+n%7))
				s.put(t, name, "text/plain", contents[name])
			}
			b := newBeside(t, s)
			b.proxy.Inject(faultproxy.Withheld, 1, behindFirst(how.killed, func(r *http.Request) bool {
				return r.Method == how.method && strings.Contains(r.URL.Path, "/photos/")
			}))
			im := b.importer(how.name == "in place")
			p := im.osp.Start(im.args...)
			harness.Eventually(t, "the import waits for an object", func() bool {
				return b.proxy.Hits(faultproxy.Withheld) == 1 && strings.Contains(p.Stderr(), " imports")
			})
			b.daemon.Kill()
			p.Kill()
			job := jobOf(t, p.Stderr())
			b.daemon.Start()
			im.osp.Server = b.daemon.URL
			again := im.run(contents, fmt.Sprintf("%d objects: ", how.count), "")
			exit, p := im.osp.Run("admin", "jobs", "manifest", job)
			if exit != 0 {
				t.Fatalf("the manifest of the first import: exit %d: %s", exit, p.Stderr())
			}
			for path, uid := range entriesPrinted(t, p.Stdout(), contents, "") {
				if again[path] != uid {
					t.Errorf("%s is %s, and was %s", path, again[path], uid)
				}
			}
			im.holds(again, contents)
		})
	}
}

// importer imports what is below photos/ in the store remote, by the command.
type importer struct {
	*behind
	inPlace bool
	osp     *harness.OSP
	args    []string
}

func (b *behind) importer(inPlace bool) *importer {
	b.t.Helper()
	im := &importer{behind: b, inPlace: inPlace, osp: harness.NewOSP(b.t, bin, b.daemon.URL), args: []string{"admin", "import", "s3:remote/photos/"}}
	if inPlace {
		im.args = append(im.args, "--in-place")
	}
	return im
}

// run runs it to its end, and gives the uids it printed by path.
func (im *importer) run(contents map[string][]byte, says string, want protocol.ImportOutcome) map[string]protocol.UID {
	im.t.Helper()
	exit, p := im.osp.Run(im.args...)
	if exit != 0 || !strings.Contains(p.Stderr(), "osp: "+says) {
		im.t.Fatalf("exit %d: %s%s", exit, p.Stdout(), p.Stderr())
	}
	return entriesPrinted(im.t, p.Stdout(), contents, want)
}

// entriesPrinted reads a manifest, in which each path is once, with the outcome
// that is wanted, or any that a file comes of.
func entriesPrinted(t *testing.T, stdout string, contents map[string][]byte, want protocol.ImportOutcome) map[string]protocol.UID {
	t.Helper()
	uids, seen := map[string]protocol.UID{}, map[protocol.UID]bool{}
	for line := range strings.Lines(stdout) {
		var e protocol.ManifestEntry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		data, ok := contents[e.Path]
		if !ok || e.UID == nil || e.Size != int64(len(data)) || e.Outcome == protocol.ImportFailed || want != "" && e.Outcome != want || uids[e.Path] != 0 || seen[*e.UID] {
			t.Fatalf("entry %s", line)
		}
		uids[e.Path], seen[*e.UID] = *e.UID, true
	}
	if len(uids) != len(contents) {
		t.Fatalf("%d paths of %d are printed", len(uids), len(contents))
	}
	return uids
}

// jobOf is the job that osp said it began.
func jobOf(t *testing.T, stderr string) string {
	t.Helper()
	_, rest, _ := strings.Cut(stderr, "osp: job ")
	id, _, found := strings.Cut(rest, " imports")
	if !found {
		t.Fatalf("no job is told: %s", stderr)
	}
	return id
}

// holds reads all files, and looks where their bytes are.
func (im *importer) holds(uids map[string]protocol.UID, contents map[string][]byte) {
	im.t.Helper()
	if files := im.daemon.API().Files(); len(files) != len(contents) {
		im.t.Errorf("%d objects made %d files", len(contents), len(files))
	}
	for path, uid := range uids {
		im.daemon.API().MustHold(uid, contents[path])
	}
	if exit := im.daemon.Stop(); exit != 0 {
		im.t.Errorf("ospd left with %d: %s", exit, im.daemon.Stderr())
	}
	fsckClean(im.t, im.daemon.Data, "--config", im.config)
	if copies := im.objectsIn("disk"); (copies == 0) != im.inPlace {
		im.t.Errorf("there are %d copies", copies)
	}
}
