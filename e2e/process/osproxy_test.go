//go:build postgres

package process

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// folders are an ospd whose store old is osproxy's folder.
type folders struct {
	data, root, config string
}

func newFolders(t *testing.T, db string) folders {
	t.Helper()
	f := folders{data: filepath.Join(t.TempDir(), "data"), root: filepath.Join(t.TempDir(), "localstore")}
	if err := os.Mkdir(f.root, 0o755); err != nil {
		t.Fatal(err)
	}
	f.config = harness.WriteFile(t, "ospd.yaml", fmt.Appendf(nil, "db: %q\nv0_access: {owner: local, from: [127.0.0.0/8]}\ndefault_store: disk\nstores:\n  disk: {type: local, path: %q}\n  old: {type: local, path: %q}\n",
		db, t.TempDir(), f.root))
	return f
}

func (f folders) args(more ...string) []string {
	return append([]string{"--config", f.config, "--data", f.data, "--store", "old"}, more...)
}

// tree is all that lies in a folder, with what it says.
func tree(t *testing.T, root string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		list = append(list, fmt.Sprint(path, info.Mode(), info.Size(), info.ModTime()))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// everything are rows of every kind. damaged is one whose bytes are not of its
// MD5.
func (o *osproxy) everything() (damaged protocol.UID, want map[string]int) {
	o.Helper()
	picture := harness.Content(1, 70_000)
	first := o.has(o.uploaded("图 1.png", picture, nil), picture)
	// The same bytes again: a row that means the first one's object, with a name
	// that was never spelled for an address.
	o.has(o.insert(&osproxyRow{uid: first.uid + 7, name: "100%.txt", bucket: first.bucket, file: first.file, md5: strings.ToUpper(first.md5), size: first.size, status: 1, kind: "image/png"}), picture)
	merged := harness.Content(2, 5<<20)
	r := o.has(o.uploaded("film.mp4", merged, func(r *osproxyRow) { r.kind, r.parts = "video/mp4", 2 }), merged)
	o.part(r, 2, merged[3<<20:])
	o.part(r, 1, merged[:3<<20])
	a, b, c := harness.Content(3, 2<<20), harness.Content(4, 100), harness.Content(5, 1<<20)
	o.has(o.inParts("set.zip", 3, a, b, c), append(append(append([]byte(nil), a...), b...), c...))
	o.has(o.uploaded("empty.bin", nil, nil), nil)
	windows := harness.Content(6, 300)
	o.has(o.uploaded(`C:\a.png`, windows, nil), windows)
	odd := o.has(o.uploaded("odd.bin", windows, func(r *osproxyRow) { r.md5 = "none" }), windows)
	o.insert(&osproxyRow{uid: odd.uid, name: "other", bucket: "unknown", file: "other.bin", md5: odd.md5, size: 1, status: 1})
	// An older row to which nothing was uploaded stands before the one that has it.
	late := o.link("late.bin")
	o.insert(late)
	again := *late
	again.md5, again.size, again.status = md5Of(windows), int64(len(windows)), 1
	o.put(again.bucket, again.file, "", windows)
	o.has(o.insert(&again), windows)

	bad := o.uploaded("bad.png", harness.Content(8, 500), func(r *osproxyRow) { r.md5 = md5Of([]byte("x")) })
	o.insert(o.link("never.png"))
	half := o.insert(o.link("half.zip"))
	o.part(half, 1, a)
	o.uploaded("lost.png", b, func(r *osproxyRow) { r.file = "lost.png" })
	o.uploaded("short.png", b, func(r *osproxyRow) { r.size++ })
	o.inParts("some.zip", 3, b, b)
	o.uploaded("above.png", b, func(r *osproxyRow) { r.uid = 1<<63 - 1 })
	o.uploaded("zero.png", b, func(r *osproxyRow) { r.uid = 0 })
	o.uploaded("out.png", b, func(r *osproxyRow) { r.file = "../../out.png" })
	return protocol.UID(bad.uid), map[string]int{"imported": len(o.want) + 1, "unfinished": 2, "missing": 1, "other_size": 1, "failed": 4, "renamed": 1, "doubled": 1, "unsummed": 1}
}

// TestPostgresImportOsproxy: files of osproxy's are files of ospd's, with their
// uids, on the objects that there are; what is not right is said, and nothing of
// osproxy's is changed.
func TestPostgresImportOsproxy(t *testing.T) {
	server, address := postgres(t, false)
	for name, db := range map[string]string{"sqlite": "sqlite", "postgres": address} {
		t.Run(name, func(t *testing.T) {
			o := newOsproxy(t, server, "osproxy_"+name)
			f := newFolders(t, db)
			o.onFolder(f.root)
			damaged, want := o.everything()
			before := tree(t, f.root)
			exit, dry, sum := o.imports(f.args("--dry-run")...)
			o.counts(sum, want)
			if _, err := os.Stat(f.data); exit != 7 || !os.IsNotExist(err) || fmt.Sprint(tree(t, f.root)) != fmt.Sprint(before) {
				t.Errorf("a dry run ends with %d and leaves something: %v", exit, err)
			}
			exit, rows, sum := o.imports(f.args()...)
			o.counts(sum, want)
			if exit != 7 || fmt.Sprint(rows) != fmt.Sprint(dry) || sum["ok"] != false {
				t.Errorf("exit %d\n%v\n%v", exit, rows, dry)
			}
			o.told(rows)
			d := harness.StartDaemon(t, bin, f.data, "--config", f.config)
			o.holds(d.API())
			o.asOsproxySaid(d.API())
			o.inV0(d.API())
			o.found(d.API(), damaged)
			o.besides(d, f, damaged)
			stop(t, d)
			o.twice(f, want)
			exit, out := harness.Fsck(t, bin, f.data, "--read-data", "--config", f.config)
			if exit != 7 || strings.Count(out, "FINDING") != 1 || !strings.Contains(out, "md5_differs uid "+damaged.String()) {
				t.Errorf("fsck left with %d: %s", exit, out)
			}
		})
	}
}

// TestPostgresImportOsproxyOwner: without --owner files are of him to whom
// clients of osproxy's come, and have the MD5s of osproxy's at once; to another
// one they are not given later.
func TestPostgresImportOsproxyOwner(t *testing.T) {
	server, _ := postgres(t, false)
	o := newOsproxy(t, server, "owner")
	f := newFolders(t, "sqlite")
	config, err := os.ReadFile(f.config)
	if err != nil {
		t.Fatal(err)
	}
	f.config = harness.WriteFile(t, "team.yaml", bytes.Replace(config, []byte("owner: local"), []byte("owner: team"), 1))
	o.onFolder(f.root)
	data := harness.Content(1, 300)
	r := o.uploaded("a.png", data, nil)
	if exit, _, sum := o.imports(f.args()...); exit != 0 {
		t.Fatalf("exit %d: %v", exit, sum)
	}
	exit, rows, _ := o.imports(f.args("--owner", "local")...)
	if exit != 7 || len(rows) != 1 || !strings.Contains(rows[0]["message"], "imported before, for the owner team") {
		t.Errorf("for another owner: exit %d, %v", exit, rows)
	}
	d := harness.StartDaemon(t, bin, f.data, "--config", f.config)
	ans := d.API().JSON(http.MethodPost, "/api/storage/v0/link/download", map[string]any{"uid": []string{strconv.FormatInt(r.uid, 10)}, "expire": 600})
	if ans.Status != http.StatusOK || !strings.Contains(string(ans.Body), md5Of(data)) {
		t.Errorf("link/download: %d %s", ans.Status, ans.Body)
	}
	stop(t, d)
}

// TestPostgresImportOsproxyTried: where a trial has put its mark, the import of
// another installation ends with 4, and its dry run says so.
func TestPostgresImportOsproxyTried(t *testing.T) {
	server, _ := postgres(t, false)
	o := newOsproxy(t, server, "tried")
	f := newFolders(t, "sqlite")
	o.onFolder(f.root)
	data := harness.Content(1, 300)
	o.has(o.uploaded("a.png", data, nil), data)
	trial := newFolders(t, "sqlite")
	config, err := os.ReadFile(trial.config)
	if err != nil {
		t.Fatal(err)
	}
	trial.config = harness.WriteFile(t, "trial.yaml", bytes.Replace(config, []byte(trial.root), []byte(f.root), 1))
	for _, tried := range [][]string{{"--dry-run"}, nil, {"--dry-run"}} { // not there yet, and there
		if exit, _, sum := o.imports(trial.args(tried...)...); exit != 0 {
			t.Fatalf("%v: exit %d: %v", tried, exit, sum)
		}
	}
	for _, more := range [][]string{{"--dry-run"}, nil, {"--dry-run"}} {
		if exit, _, _ := o.imports(f.args(more...)...); exit != 4 {
			t.Errorf("%v beside the mark of a trial: exit %d", more, exit)
		}
	}
	if err := os.Remove(filepath.Join(f.root, "STORE")); err != nil {
		t.Fatal(err)
	}
	exit, out, sum := o.imports(f.args()...)
	if exit != 0 || sum["imported"] != 1.0 {
		t.Errorf("without the mark: exit %d: %v %v", exit, out, sum)
	}
}

// told expects that each row with something to say was named.
func (o *osproxy) told(rows []map[string]string) {
	o.Helper()
	outcomes := map[string]string{}
	for _, r := range rows {
		outcomes[r["name"]] += r["outcome"] + " "
		if _, err := strconv.ParseInt(r["uid"], 10, 64); err != nil {
			o.Errorf("%v", r)
		}
	}
	for name, outcome := range map[string]string{"lost.png": "missing ", "short.png": "other_size ", "some.zip": "failed ", "above.png": "failed ", "zero.png": "failed ",
		"out.png": "failed ", "C:_a.png": "renamed ", "odd.bin": "unsummed doubled "} {
		if outcomes[name] != outcome {
			o.Errorf("%s: %q, want %q (%v)", name, outcomes[name], outcome, rows)
		}
	}
}

// asOsproxySaid expects of the files what osproxy knew of them.
func (o *osproxy) asOsproxySaid(api *harness.API) {
	o.Helper()
	names := map[string]protocol.File{}
	for _, f := range api.Files() {
		names[f.Name] = f
	}
	for name, kind := range map[string]string{"图 1.png": "image/png", "100%.txt": "image/png", "film.mp4": "video/mp4", "set.zip": "application/octet-stream", "C:_a.png": "image/png"} {
		f := names[name]
		if f.MediaType == nil || *f.MediaType != kind || f.Owner != protocol.OwnerLocal || f.CreatedAt.Format("2006-01-02T15:04:05.000") != "2023-07-08T09:10:11.012" {
			o.Errorf("%s: %+v", name, f)
		}
	}
	f := names["film.mp4"]
	ans := api.Do(http.MethodGet, "/v1/files/"+f.UID.String()+"/content", nil, 0, "Range", "bytes=4194300-4194309")
	if ans.Status != http.StatusPartialContent || string(ans.Body) != string(o.want[f.UID][4194300:4194310]) {
		o.Errorf("a range: %d %q", ans.Status, ans.Body)
	}
}

// found expects that digest jobs find out what the files are.
func (o *osproxy) found(api *harness.API, damaged protocol.UID) {
	o.Helper()
	file := func(uid protocol.UID) (f protocol.File) {
		if err := json.Unmarshal(api.Do(http.MethodGet, "/v1/files/"+uid.String(), nil, 0).Body, &f); err != nil {
			o.Fatal(err)
		}
		return f
	}
	harness.Eventually(o.T, "the digests of all files", func() bool {
		for uid := range o.want {
			if f := file(uid); f.Digest == nil || f.MD5 == nil {
				return false
			}
		}
		return true
	})
	for uid, data := range o.want {
		if f := file(uid); *f.MD5 != md5Of(data) {
			o.Errorf("%s has MD5 %s", f.Name, *f.MD5)
		}
	}
	o.holds(api)
	harness.Eventually(o.T, "that one has another MD5 is found", func() bool { return api.Content(damaged).Status != http.StatusOK })
	if ans := api.Content(damaged); ans.Status != http.StatusInternalServerError || ans.Code() != protocol.KindContentCorrupt {
		o.Errorf("what has another MD5: %d %s", ans.Status, ans.Body)
	}
}

// besides does what an ospd that runs is asked for besides.
func (o *osproxy) besides(d *harness.Daemon, f folders, damaged protocol.UID) {
	o.Helper()
	if exit, _, _ := o.imports(f.args()...); exit != 8 {
		o.Errorf("an import under a daemon: %d", exit)
	}
	exit, _, sum := o.imports(f.args("--dry-run")...)
	if imported, _ := sum["imported"].(float64); exit != 7 || imported != 0 {
		o.Errorf("a dry run under a daemon: %d %v", exit, sum)
	}
	greatest := protocol.UID(o.uids)
	put := d.API().MustFile(d.API().PutFile("new", []byte("new")), http.StatusCreated)
	if put.UID <= greatest {
		o.Errorf("the uid of a new file, %s, is not above %s", put.UID, greatest)
	}
	for what, uid := range o.newInV0(d.API()) {
		if uid <= greatest {
			o.Errorf("the uid of %s, %s, is not above %s", what, uid, greatest)
		}
	}
	for uid := range o.want {
		if ans := d.API().Do(http.MethodDelete, "/v1/files/"+uid.String(), nil, 0); ans.Status != http.StatusNoContent {
			o.Errorf("delete: %d", ans.Status)
		}
		delete(o.want, uid)
		break
	}
}

// twice imports once more what is there.
func (o *osproxy) twice(f folders, want map[string]int) {
	o.Helper()
	before := tree(o.T, f.root)
	late := harness.Content(9, 900)
	o.has(o.uploaded("later.png", late, nil), late)
	_, _, sum := o.imports(f.args()...)
	o.counts(sum, map[string]int{"imported": 1, "already": want["imported"] - 1, "deleted": 1, "unfinished": want["unfinished"],
		"missing": want["missing"], "other_size": want["other_size"], "failed": want["failed"]})
	if after := tree(o.T, f.root); len(after) != len(before)+1 {
		o.Errorf("%d objects, and %d before", len(after), len(before))
	}
}

// onFolder has the objects in a folder, as osproxy does without a service.
func (o *osproxy) onFolder(root string) {
	o.put = func(bucket, name, _ string, data []byte) {
		if err := cmp.Or(os.MkdirAll(filepath.Join(root, bucket), 0o755), os.WriteFile(filepath.Join(root, bucket, name), data, 0o644)); err != nil {
			o.Fatal(err)
		}
	}
}
