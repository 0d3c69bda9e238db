package transfer

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

func newState(t *testing.T) *State {
	t.Helper()
	s, err := OpenState(filepath.Join(t.TempDir(), "deep", "transfers"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sampleTransfer() Transfer {
	return Transfer{Kind: DirectionPut, ServerID: "s", Server: "http://127.0.0.1:8888", UID: 7, Path: "/data/a", Name: "a", Size: 9}
}

// made creates a transfer that nobody holds.
func made(t *testing.T, s *State, tr Transfer) Transfer {
	t.Helper()
	l, err := s.create(&tr, true)
	if err != nil {
		t.Fatal(err)
	}
	l.release()
	return tr
}

func TestStateRemembers(t *testing.T) {
	s := newState(t)
	tr := sampleTransfer()
	tr.Stamp = &Stamp{Size: 9, MtimeNS: 1763800000123456789, Inode: 771}
	tr.Meta = map[string]string{"k": "v"}
	tr = made(t, s, tr)
	got, err := s.Load(tr.ID)
	if err != nil || got.Stamp == nil || *got.Stamp != *tr.Stamp || got.Meta["k"] != "v" || got.V != 1 || !got.Created.Equal(tr.Created.Time) {
		t.Fatalf("%+v %v", got, err)
	}
	other := sampleTransfer()
	other.Path = "/data/b"
	made(t, s, other)
	newer := made(t, s, sampleTransfer())
	found, err := s.Find("s", DirectionPut, "/data/a", "a")
	if err != nil || len(found) != 2 || found[0].ID != newer.ID || found[1].ID != tr.ID {
		t.Fatalf("%+v %v", found, err)
	}
	for _, f := range [][3]string{{"other", "/data/a", "a"}, {"s", "/data/c", "a"}, {"s", "/data/a", "other"}} {
		if found, _ := s.Find(f[0], DirectionPut, f[1], f[2]); len(found) != 0 {
			t.Errorf("%q found %+v", f, found)
		}
	}
	if found, _ := s.Find("s", DirectionGet, "/data/a", "a"); len(found) != 0 {
		t.Errorf("a put was found as a get: %+v", found)
	}
}

func TestStateIsPrivate(t *testing.T) {
	s := newState(t)
	tr := made(t, s, sampleTransfer())
	if runtime.GOOS == "windows" {
		return // access lists, not modes
	}
	for path, want := range map[string]os.FileMode{s.Dir(): 0o700, s.path(tr.ID): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
}

// Broken files and those of a newer osp are reported one by one, keep nobody
// from working, and are as they were afterwards.
func TestStateLeavesOtherFilesAlone(t *testing.T) {
	s := newState(t)
	tr := made(t, s, sampleTransfer())
	files := map[string]string{}
	add := func(change func(m map[string]any)) {
		id := newID()
		data, _ := os.ReadFile(s.path(tr.ID))
		m := map[string]any{}
		json.Unmarshal(data, &m)
		m["id"] = id
		change(m)
		data, _ = json.Marshal(m)
		files[s.path(id)] = string(data)
	}
	add(func(m map[string]any) { m["v"] = 2; m["new_in_2"] = true })
	add(func(m map[string]any) { delete(m, "v") })
	add(func(m map[string]any) { m["id"] = newID() })
	add(func(m map[string]any) { m["kind"] = "copy" })
	add(func(m map[string]any) { m["uid"] = "0" })
	add(func(m map[string]any) { delete(m, "path") })
	add(func(m map[string]any) { m["kind"] = "get" })
	for _, text := range []string{"", "{", "null", "[]", "\x00\x00", strings.Repeat("[", 3000)} {
		files[s.path(newID())] = text
	}
	files[filepath.Join(s.Dir(), "notes.json")] = "{}"
	for path, text := range files {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all, broken, err := s.List()
	if err != nil || len(all) != 1 || all[0].ID != tr.ID || len(broken) != len(files) {
		t.Fatalf("%d transfers, %d of %d broken, %v: %v", len(all), len(broken), len(files), err, broken)
	}
	if found, err := s.Find("s", DirectionPut, "/data/a", "a"); err != nil || len(found) != 1 {
		t.Errorf("%+v %v", found, err)
	}
	s.now = func() time.Time { return time.Now().Add(1000 * time.Hour) }
	if pruned, err := s.Prune(PruneAge); err != nil || len(pruned) != 1 {
		t.Errorf("pruned %+v %v", pruned, err)
	}
	for path, text := range files {
		if data, err := os.ReadFile(path); err != nil || string(data) != text {
			t.Errorf("%s was touched: %q %v", path, data, err)
		}
	}
}

func TestStateReadsWhatANewerVersionOneAdds(t *testing.T) {
	s := newState(t)
	tr := made(t, s, sampleTransfer())
	data, _ := os.ReadFile(s.path(tr.ID))
	os.WriteFile(s.path(tr.ID), []byte(strings.Replace(string(data), "{", `{"added": [1],`, 1)), 0o600)
	if got, err := s.Load(tr.ID); err != nil || got.UID != 7 {
		t.Fatal(got, err)
	}
}

func TestStateLocks(t *testing.T) {
	s := newState(t)
	tr := sampleTransfer()
	tr.Target = filepath.Join(t.TempDir(), "part")
	os.WriteFile(tr.Target, []byte("part"), 0o600)
	l, err := s.create(&tr, true)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := OpenState(s.Dir())
	if _, _, err := other.lock(tr.ID); !isKind(err, protocol.KindBusy) {
		t.Fatal(err)
	}
	if err := other.Remove(tr.ID); !isKind(err, protocol.KindBusy) {
		t.Fatal(err)
	}
	other.now = func() time.Time { return time.Now().Add(1000 * time.Hour) }
	if pruned, err := other.Prune(PruneAge); err != nil || len(pruned) != 0 {
		t.Fatal(pruned, err)
	}
	l.release()
	if err := other.Remove(tr.ID); err != nil {
		t.Fatal(err)
	}
	if err := other.Remove(tr.ID); err != nil {
		t.Error("removing twice:", err)
	}
	if _, err := os.Stat(tr.Target); !errors.Is(err, os.ErrNotExist) {
		t.Error("the part file stays:", err)
	}
	if entries, _ := os.ReadDir(s.Dir()); len(entries) != 0 {
		t.Errorf("left over: %v", entries)
	}
	if _, _, err := s.lock(tr.ID); !isKind(err, protocol.KindNotFound) {
		t.Error(err)
	}
}

func TestStatePrunes(t *testing.T) {
	s := newState(t)
	old := made(t, s, sampleTransfer())
	week := time.Now().Add(PruneAge + time.Hour)
	s.now = func() time.Time { return week }
	young := made(t, s, sampleTransfer())
	os.WriteFile(filepath.Join(s.Dir(), tempPrefix+"1"), nil, 0o600)
	os.WriteFile(s.lockPath(newID()), nil, 0o600)
	pruned, err := s.Prune(PruneAge)
	if err != nil || len(pruned) != 1 || pruned[0].ID != old.ID {
		t.Fatal(pruned, err)
	}
	entries, _ := os.ReadDir(s.Dir())
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), string(young.ID)) {
			t.Errorf("left over: %s", entry.Name())
		}
	}
}

// A save that fails leaves the file as it was, and no other file.
func TestStateSavesWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "folder")
	if err := os.MkdirAll(filepath.Join(path, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(path, []byte("x"), true); err == nil {
		t.Fatal("a folder was replaced by a file")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left over: %v", entries)
	}
}

func TestParseID(t *testing.T) {
	id := newID()
	if got, err := ParseID(string(id)); err != nil || got != id {
		t.Error(got, err)
	}
	for _, s := range []string{"", "../../etc/passwd", strings.ToLower(string(id)), string(id) + "0", "8" + string(id)[1:], "381270594817523712"} {
		if _, err := ParseID(s); !isKind(err, protocol.KindUsage) {
			t.Errorf("%q: %v", s, err)
		}
	}
	if _, err := newState(t).Load("../x"); !isKind(err, protocol.KindUsage) {
		t.Error(err)
	}
}

func TestDefaultStateDir(t *testing.T) {
	t.Setenv("OSP_HOME", filepath.FromSlash("/home/x"))
	if got := DefaultStateDir(); got != filepath.FromSlash("/home/x/transfers") {
		t.Error(got)
	}
	t.Setenv("OSP_HOME", "")
	if got := DefaultStateDir(); !strings.HasSuffix(got, filepath.Join("osp", "transfers")) || !filepath.IsAbs(got) {
		t.Error(got)
	}
}
