package transfer

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// list is GET /v1/files, three at a time; d.mu is held.
func (d *fakeDaemon) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	before := protocol.UID(1) << 62
	if c := q.Get("cursor"); c != "" {
		before, _ = protocol.ParseUID(c)
	}
	page := protocol.FileList{}
	for _, uid := range slices.Backward(slices.Sorted(maps.Keys(d.files))) {
		f := d.files[uid].file
		if uid >= before || !strings.HasPrefix(f.Name, q.Get("prefix")) || q.Get("name") != "" && f.Name != q.Get("name") {
			continue
		}
		if len(page.Files) == 3 {
			next := page.Files[2].UID.String()
			page.Next = &next
			break
		}
		page.Files = append(page.Files, f)
	}
	writeJSON(w, 200, page)
}

func TestBranches(t *testing.T) {
	r := newRig(t)
	for i, name := range []string{"tree/b", "tree/a", "tree", "trees/x", "tree/a/1", "tree/a", "other", "tree/a", "tree/deep/er/c", "tree-", "tree/a-"} {
		r.d.add(name, []byte{byte(i)})
	}
	base := r.d.nextUID - 11
	for _, tt := range []struct {
		prefixes []string
		want     string
		older    int
		empty    []string
	}{
		{[]string{"tree"}, "tree3/ tree/a8/ tree/a-11 tree/a/15 tree/b1 tree/deep/er/c9", 2, nil},
		{[]string{"tree/"}, "tree/a8/ tree/a-11 tree/a/15 tree/b1 tree/deep/er/c9", 2, nil},
		{[]string{"tree/a"}, "tree/a8/ tree/a/15", 2, nil},
		{[]string{"tree/deep", "tree/deep/er", "nothing", "tree/d", "other/"}, "tree/deep/er/c9", 0, []string{"nothing", "tree/d", "other/"}},
		{[]string{"other"}, "other7", 0, nil},
		{[]string{"tree/a", "tree/", "tree/a"}, "tree/a8/ tree/a-11 tree/a/15 tree/b1 tree/deep/er/c9", 2, nil},
	} {
		b, err := r.Branches(t.Context(), tt.prefixes)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range b.Files {
			text := f.Name + fmt.Sprint(f.UID-base)
			if f.Folder {
				text += "/"
			}
			got = append(got, text)
		}
		if strings.Join(got, " ") != tt.want || b.Older != tt.older || !slices.Equal(b.Empty, tt.empty) {
			t.Errorf("%q: %q, %d older, %q; want %q, %d, %q", tt.prefixes, got, b.Older, b.Empty, tt.want, tt.older, tt.empty)
		}
	}
	if b, err := r.Branches(t.Context(), []string{"/"}); err != nil || len(b.Files) != 9 || b.Older != 2 {
		t.Errorf("all: %+v, %v", b, err)
	}
	for _, bad := range []string{"", "//", "/tree", "../tree", "a//b", "tree//", `a\b`} {
		_, err := r.Branches(t.Context(), []string{bad})
		wantKind(t, err, protocol.KindBadName)
	}
}

// below is all that lies in a folder, folders with a slash behind.
func below(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		switch {
		case d.IsDir():
			all[name+"/"] = ""
		case d.Type()&fs.ModeSymlink != 0:
			all[name], err = os.Readlink(path)
		default:
			var data []byte
			data, err = os.ReadFile(path)
			all[name] = string(data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func openTree(t *testing.T, dir string) *Tree {
	t.Helper()
	tree, err := OpenTree(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tree.Close)
	return tree
}

func TestGetIntoATree(t *testing.T) {
	r := newRig(t)
	dir := filepath.Join(r.dir, "new", "out")
	tree := openTree(t, dir)
	big := random(2*protocol.BlockSize+5, 1)
	contents := map[string][]byte{"a": []byte("1"), "x/b": []byte("2"), "x/y/z/c": nil, "x/y/big": big, "x/y/.hidden": []byte("3")}
	var got sync.WaitGroup
	for name, data := range contents {
		f := r.d.add(name, data)
		got.Go(func() {
			res, err := r.Get(t.Context(), GetRequest{UID: f.UID, File: &f, In: tree})
			if err != nil || res.Outcome != Downloaded || !res.Verified || res.Path != filepath.Join(dir, name) {
				t.Errorf("%s: %+v, %v", name, res, err)
			}
		})
	}
	got.Wait()
	want := map[string]string{"x/": "", "x/y/": "", "x/y/z/": ""}
	for name, data := range contents {
		want[name] = string(data)
	}
	if got := below(t, dir); !maps.Equal(got, want) {
		t.Errorf("it has %q", slices.Sorted(maps.Keys(got)))
	}
	// A list told what each File is: one of a single block is one request, one
	// without bytes only its digests, and the big one these and three ranges.
	if n := r.d.count("GET /v1/files/"); n != 3+1+4 {
		t.Errorf("%d requests were made", n)
	}
	r.transfers(t, 0)
	f := r.d.add("a", []byte("other"))
	_, err := r.Get(t.Context(), GetRequest{UID: f.UID, In: tree})
	wantKind(t, err, protocol.KindLocalExists)
	res, err := r.Get(t.Context(), GetRequest{UID: f.UID, In: tree, IfExists: ExistsOverwrite})
	if err != nil || res.Outcome != Downloaded || below(t, dir)["a"] != "other" {
		t.Errorf("%+v, %v", res, err)
	}
}

// TestTreeIsMadeByTheFirstGet, and not by one that only looks or that fails.
func TestTreeIsMadeByTheFirstGet(t *testing.T) {
	r := newRig(t)
	dir := filepath.Join(r.dir, "new")
	tree := openTree(t, dir)
	f := r.d.add("a/b", []byte("1"))
	res, err := r.WouldGet(t.Context(), GetRequest{UID: f.UID, In: tree})
	if err != nil || res.Would != Downloaded || res.Path != filepath.Join(dir, "a/b") {
		t.Errorf("%+v, %v", res, err)
	}
	_, err = r.Get(t.Context(), GetRequest{UID: f.UID + 1, In: tree})
	wantKind(t, err, protocol.KindNotFound)
	if got := below(t, r.dir); len(got) != 0 {
		t.Errorf("there is %q", got)
	}
	if _, err := r.Get(t.Context(), GetRequest{UID: f.UID, In: tree}); err != nil {
		t.Error(err)
	}
	if res, err := r.WouldGet(t.Context(), GetRequest{UID: f.UID, In: tree}); err != nil || res.Would != AlreadyComplete {
		t.Errorf("%+v, %v", res, err)
	}
	file := filepath.Join(r.dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenTree(file); protocol.KindOf(err) != protocol.KindLocalIO {
		t.Error(err)
	}
}

// TestFileAndFolderOfOneName: neither takes the other's place.
func TestFileAndFolderOfOneName(t *testing.T) {
	r := newRig(t)
	tree := openTree(t, filepath.Join(r.dir, "out"))
	file, inside := r.d.add("a", []byte("1")), r.d.add("a/b", []byte("2"))
	if _, err := r.Get(t.Context(), GetRequest{UID: file.UID, In: tree}); err != nil {
		t.Fatal(err)
	}
	_, err := r.Get(t.Context(), GetRequest{UID: inside.UID, In: tree, IfExists: ExistsOverwrite})
	if e := wantKind(t, err, protocol.KindLocalExists); !strings.Contains(e.Message, "is no folder") {
		t.Error(e)
	}
	other := openTree(t, filepath.Join(r.dir, "other"))
	if _, err := r.Get(t.Context(), GetRequest{UID: inside.UID, In: other}); err != nil {
		t.Fatal(err)
	}
	_, err = r.Get(t.Context(), GetRequest{UID: file.UID, In: other, IfExists: ExistsOverwrite})
	if e := wantKind(t, err, protocol.KindUsage); !strings.Contains(e.Message, "is a folder") {
		t.Error(e)
	}
	if got := below(t, r.dir); len(got) != 5 {
		t.Errorf("there is %q", got)
	}
	r.transfers(t, 0)
}

// TestHostileNamesStayInside: a daemon, or who stored the file, may call it
// anything.
func TestHostileNamesStayInside(t *testing.T) {
	r := newRig(t)
	dir := filepath.Join(r.dir, "deep", "out")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	tree := openTree(t, dir)
	for _, name := range []string{
		"../x", "..", "a/../../b", "a/..", "a/../b", "/abs", "/", "//x", "a//b", "./a", ".", "a/", "", "a\x00b", "a\nb", `..\x`, `C:\x`, `a\..\..\b`,
		"../../deep/out/../x", "a/./b", "\u202egpj.exe", strings.Repeat("x", 300), strings.Repeat("x/", 600) + "x",
		filepath.Join(r.dir, "abs"),
	} {
		f := r.d.add(name, []byte("evil"))
		for _, listed := range []*protocol.File{nil, &f} {
			_, err := r.Get(t.Context(), GetRequest{UID: f.UID, File: listed, In: tree, IfExists: ExistsOverwrite})
			if protocol.KindOf(err) != protocol.KindBadName {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
	if got := below(t, r.dir); len(got) != 2 {
		t.Errorf("there is %q", got)
	}
	r.transfers(t, 0)
}

// TestLinksDoNotLeadOut: neither on the way to a target nor in its place, be
// they there before or put there while the get is interrupted.
func TestLinksDoNotLeadOut(t *testing.T) {
	r := newRig(t)
	dir, outside := filepath.Join(r.dir, "out"), filepath.Join(r.dir, "outside")
	for _, d := range []string{outside, filepath.Join(dir, "real")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	tree := openTree(t, dir)
	for link, to := range map[string]string{
		"up": "..", "rel": "../outside", "abs": outside, "chain": "rel", "deep": "real/../../outside", "loop": "loop", "dangling": "../outside/new", "in": "real",
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	before := below(t, r.dir)
	for _, name := range []string{"up/x", "rel/x", "abs/x", "chain/x", "deep/x", "loop/x", "dangling/x", "rel/a/b", "up/outside/x", "dangling", "rel", "abs"} {
		f := r.d.add(name, []byte("evil"))
		_, err := r.Get(t.Context(), GetRequest{UID: f.UID, In: tree, IfExists: ExistsOverwrite})
		if e := wantKind(t, err, protocol.KindUsage); strings.Contains(name, "/") && !strings.Contains(e.Message, "symbolic link that leads out of "+dir) {
			t.Errorf("%s: %v", name, e)
		}
	}
	if got := below(t, r.dir); !maps.Equal(got, before) {
		t.Errorf("there is %q", got)
	}
	r.transfers(t, 0)
	// One that stays inside is a folder like any other.
	f := r.d.add("in/x", []byte("good"))
	if _, err := r.Get(t.Context(), GetRequest{UID: f.UID, In: tree}); err != nil || below(t, dir)["real/x"] != "good" {
		t.Errorf("%v, %q", err, below(t, dir))
	}
}

// TestResumedGetStaysInside: what lies between may have become a link since.
func TestResumedGetStaysInside(t *testing.T) {
	r := newRig(t)
	dir, outside := filepath.Join(r.dir, "out"), filepath.Join(r.dir, "outside")
	data := random(6*protocol.BlockSize, 1)
	f := r.d.add("a/b/big", data)
	req := GetRequest{UID: f.UID, In: openTree(t, dir)}
	stopGetOf(t, r, req, 1)
	tr := r.transfers(t, 1)[0]
	if tr.Below != dir || tr.Path != filepath.Join(dir, "a/b/big") || filepath.Dir(tr.Target) != filepath.Join(dir, "a/b") {
		t.Fatalf("remembered as %+v", tr)
	}
	if err := os.Rename(filepath.Join(dir, "a"), outside); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../outside", filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	before := below(t, outside)
	_, err := r.Resume(t.Context(), tr)
	wantKind(t, err, protocol.KindUsage)
	if got := below(t, outside); !maps.Equal(got, before) {
		t.Errorf("outside is %q", slices.Sorted(maps.Keys(got)))
	}
	if err := os.Remove(filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(outside, filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	res, err := r.Resume(t.Context(), r.transfers(t, 1)[0])
	if err != nil || res.Outcome != Resumed || res.ResumedBytes == 0 || !bytes.Equal([]byte(below(t, dir)["a/b/big"]), data) {
		t.Errorf("%+v, %v", res, err)
	}
	r.transfers(t, 0)
}

// TestGetIntoATreeAgain: a run of the same get goes on where one was stopped.
func TestGetIntoATreeAgain(t *testing.T) {
	r := newRig(t)
	f := r.d.add("a/big", random(6*protocol.BlockSize, 1))
	req := GetRequest{UID: f.UID, File: &f, In: openTree(t, r.dir)}
	stopGetOf(t, r, req, 1)
	res, err := r.Get(t.Context(), req)
	if err != nil || res.Outcome != Resumed || res.ResumedBytes == 0 {
		t.Errorf("%+v, %v", res, err)
	}
	if got := below(t, r.dir); len(got) != 2 {
		t.Errorf("there is %q", slices.Sorted(maps.Keys(got)))
	}
	r.transfers(t, 0)
}
