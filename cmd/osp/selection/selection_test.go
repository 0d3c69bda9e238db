package selection

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bmatcuk/doublestar/v4"
	"go.uber.org/goleak"

	"github.com/osproxy/osproxy/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// plant makes files, each with its path for content, and folders where the path
// ends in a slash, and makes their root the current folder.
func plant(t *testing.T, paths ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, p := range paths {
		full := filepath.Join(root, p)
		dir, folder := full, strings.HasSuffix(p, "/")
		if !folder {
			dir = filepath.Dir(full)
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if folder {
			continue
		}
		if err := os.WriteFile(full, []byte(p), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(root)
	return root
}

// found is what a selection gives, one text a file: its path, then its name
// where it has one of its own, then what is wrong with it.
func found(t *testing.T, s Selection) (files, warned []string) {
	t.Helper()
	s.Warn = func(msg string) { warned = append(warned, msg) }
	for e := range s.Files(t.Context()) {
		text := e.Path
		if e.Name != "" {
			text += "=" + e.Name
		}
		if e.Err != nil {
			text += " " + string(protocol.KindOf(e.Err))
		} else if info, err := os.Stat(e.Path); err == nil && info.Mode().IsRegular() && info.Size() != e.Size {
			t.Errorf("%s is said to have %d bytes", e.Path, e.Size)
		}
		files = append(files, text)
	}
	return files, warned
}

func wantFiles(t *testing.T, s Selection, want ...string) (warned []string) {
	t.Helper()
	got, warned := found(t, s)
	if !slices.Equal(got, want) {
		t.Errorf("%q of %q gives\n%q, want\n%q", s.Args, s.ListName, got, want)
	}
	return warned
}

func TestFolders(t *testing.T) {
	root := plant(t, "tree/b", "tree/a/2", "tree/a/1", "tree/a.txt", "tree/.hidden", "tree/empty/", "other")
	all := []string{"tree/.hidden=tree/.hidden", "tree/a/1=tree/a/1", "tree/a/2=tree/a/2", "tree/a.txt=tree/a.txt", "tree/b=tree/b"}
	wantFiles(t, Selection{Args: []string{"tree", "other"}, Recursive: true}, append(slices.Clone(all), "other")...)
	wantFiles(t, Selection{Args: []string{"tree/"}, Recursive: true}, all...)
	wantFiles(t, Selection{Args: []string{"./tree//"}, Recursive: true}, all...)
	wantFiles(t, Selection{Args: []string{"tree", "other"}}, "tree", "other")
	// Names begin with the folder's own, however it was named.
	wantFiles(t, Selection{Args: []string{filepath.Join(root, "tree", "a")}, Recursive: true},
		filepath.Join(root, "tree/a/1")+"=a/1", filepath.Join(root, "tree/a/2")+"=a/2")
	t.Chdir("tree/a")
	wantFiles(t, Selection{Args: []string{"."}, Recursive: true}, "1=a/1", "2=a/2")
	wantFiles(t, Selection{Args: []string{"./"}, Recursive: true}, "1=a/1", "2=a/2")
	wantFiles(t, Selection{Args: []string{"../a"}, Recursive: true}, "../a/1=a/1", "../a/2=a/2")
	wantFiles(t, Selection{Args: []string{"../empty/../a/."}, Recursive: true}, "../empty/../a/./1=a/1", "../empty/../a/./2=a/2")
	up := []string{}
	for _, f := range all {
		path, _, _ := strings.Cut(f, "=")
		up = append(up, "../"+strings.TrimPrefix(path, "tree/")+"="+path)
	}
	wantFiles(t, Selection{Args: []string{".."}, Recursive: true}, up...)
	wantFiles(t, Selection{Args: []string{"../"}, Recursive: true}, up...)
}

func TestRootOfAFileSystemHasNoName(t *testing.T) {
	for dir, want := range map[string]string{"/": "", "/tmp": "tmp", "/tmp/": "tmp", "/tmp/..": "", "/tmp/.": "tmp"} {
		if got, err := treeName(dir); got != want || err != nil {
			t.Errorf("%s is called %q, %v; want %q", dir, got, err, want)
		}
	}
}

func TestLinksAreSkipped(t *testing.T) {
	plant(t, "tree/a", "outside/b", "outside/deep/c")
	for link, to := range map[string]string{"tree/file": "a", "tree/dir": "../outside", "tree/dangling": "nowhere", "tree/loop": ".", "named": "outside/deep", "one": "tree/a"} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	got := wantFiles(t, Selection{Args: []string{"tree"}, Recursive: true}, "tree/a=tree/a")
	want := []string{}
	for _, l := range []string{"dangling", "dir", "file", "loop"} {
		want = append(want, "tree/"+l+" is a symbolic link and is skipped")
	}
	if !slices.Equal(got, want) {
		t.Errorf("warned of %q", got)
	}
	// One that is named is followed, and keeps its own name.
	wantFiles(t, Selection{Args: []string{"named", "one"}, Recursive: true}, "named/c=named/c", "one")
	// Behind it, .. is what the system says it is.
	wantFiles(t, Selection{Args: []string{"named/.."}, Recursive: true}, "named/../b=outside/b", "named/../deep/c=outside/deep/c")
	// Of a link that a filter leaves out nothing is said.
	if warned := wantFiles(t, Selection{Args: []string{"tree"}, Recursive: true, Filter: flags(t, "+a")}, "tree/a=tree/a"); len(warned) > 0 {
		t.Errorf("warned of %q", warned)
	}
}

func TestManySkipsAreFewWarnings(t *testing.T) {
	plant(t, "tree/a")
	for i := range 25 {
		if err := os.Symlink("a", fmt.Sprintf("tree/l%02d", i)); err != nil {
			t.Fatal(err)
		}
	}
	warned := wantFiles(t, Selection{Args: []string{"tree"}, Recursive: true}, "tree/a=tree/a")
	if len(warned) != 11 || warned[10] != "15 more that are no regular files are skipped" {
		t.Errorf("warned of %q", warned)
	}
}

// TestUnreadableFoldersAreTold: root may read everything, so that reading fails
// by order here.
func TestUnreadableFoldersAreTold(t *testing.T) {
	plant(t, "tree/a/x", "tree/b/x", "tree/c")
	var got []string
	sc := &scan{Selection: Selection{Recursive: true}, ctx: t.Context(), from: "tree", yield: func(e Entry) bool {
		got = append(got, e.Path+" "+string(protocol.KindOf(e.Err)))
		return true
	}, readDir: func(dir string) ([]fs.DirEntry, error) {
		if dir == "tree/a" {
			return nil, &fs.PathError{Op: "open", Path: dir, Err: fs.ErrPermission}
		}
		return os.ReadDir(dir)
	}}
	if !sc.tree("tree") || !slices.Equal(got, []string{"tree/a local_io", "tree/b/x ", "tree/c "}) {
		t.Errorf("gave %q", got)
	}
	err := cannot("read", "tree/a", &fs.PathError{Op: "open", Path: "tree/a", Err: fs.ErrPermission})
	if err.Error() != "tree/a cannot be read, so what is in it is not put: permission denied" {
		t.Error(err)
	}
}

func TestPatterns(t *testing.T) {
	plant(t, "a.log", "b.log", ".hidden.log", "sub/c.log", "sub/deep/d.log", "sub/.git/e.log", "[x].txt", "x.txt", "?", "dir1/f", "dir2/f")
	for pattern, want := range map[string][]string{
		"*.log":             {"a.log", "b.log"},
		"./*.log":           {"a.log", "b.log"},
		"[ab].log":          {"a.log", "b.log"},
		"{b,a}.log":         {"a.log", "b.log"},
		".*.log":            {".hidden.log"},
		"**/*.log":          {"a.log", "b.log", "sub/c.log", "sub/deep/d.log"},
		"sub/**":            {"sub/c.log", "sub/deep/d.log"},
		"sub/../sub/*.log":  {"sub/../sub/c.log"},
		"[x].txt":           {"[x].txt"}, // a file has that name
		"?":                 {"?"},
		"?.txt":             {"x.txt"},
		"dir*":              {"dir1", "dir2"}, // as a shell would have it
		"nothing*":          {"nothing* local_missing"},
		"no/such/folder/*":  {"no/such/folder/* local_missing"},
		"a.log/*":           {"a.log/*"},
		"*/../*.log":        {"*/../*.log local_missing"},
		"a[":                {"a[ local_missing"},
		"a{":                {"a{ local_missing"},
		"missing":           {"missing"},
		`\[x\].txt`:         {"[x].txt"},
		"{[,x].txt":         {"{[,x].txt local_missing"},
		"{a.log,sub/c.log}": {"a.log", "sub/c.log"},
	} {
		wantFiles(t, Selection{Args: []string{pattern}}, want...)
	}
	wantFiles(t, Selection{Args: []string{"*.log", "b*"}}, "a.log", "b.log", "b.log")
	wantFiles(t, Selection{Args: []string{"*.log"}, Literal: true}, "*.log")
	wantFiles(t, Selection{Args: []string{"dir*"}, Recursive: true}, "dir1/f=dir1/f", "dir2/f=dir2/f")
	wantFiles(t, Selection{Args: []string{"**/f"}, Recursive: true}, "dir1/f", "dir2/f")
	// What a filter leaves out was found all the same.
	wantFiles(t, Selection{Args: []string{"*.log", "a.log"}, Filter: flags(t, "-a*")}, "b.log")
	wantFiles(t, Selection{Args: []string{"a.lo*"}, Filter: flags(t, "-a*")})
	wantFiles(t, Selection{Args: []string{"**/*.log"}, Filter: flags(t, "-[ac]*")}, "b.log", "sub/deep/d.log")
}

// closedFS is a folder of which one below cannot be read.
type closedFS struct{ fs.FS }

func (c closedFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if name == "sub" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return fs.ReadDir(c.FS, name)
}

func TestPatternsTellOfUnreadableFolders(t *testing.T) {
	plant(t, "a", "sub/b", "z/c")
	var failed []string
	dir := &reporting{FS: closedFS{os.DirFS(".")}, failed: func(name string, err error) { failed = append(failed, name) }}
	got, err := doublestar.Glob(dir, "**", doublestar.WithFilesOnly())
	if want := []string{"a", "z/c"}; err != nil || !slices.Equal(got, want) || !slices.Equal(failed, []string{"sub"}) {
		t.Errorf("%q, %v; failed %q", got, err, failed)
	}
}

// TestPatternsFollowNoLinks: those of any depth, which might not end.
func TestPatternsFollowNoLinks(t *testing.T) {
	plant(t, "sub/a", "away/b")
	for link, to := range map[string]string{"sub/loop": ".", "sub/away": "../away", "sub/file": "a"} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	if warned := wantFiles(t, Selection{Args: []string{"sub/**"}}, "sub/a"); len(warned) != 3 {
		t.Errorf("warned of %q", warned)
	}
	wantFiles(t, Selection{Args: []string{"sub/*/b"}}, "sub/away/b")
	wantFiles(t, Selection{Args: []string{"sub/f*"}}, "sub/file")
}

func TestLists(t *testing.T) {
	root := plant(t, "a", "sub/b", "sub/x/c", "-", "*", "new\nline", "tree/1", "tree/node_modules/2")
	list := func(text string) Selection { return Selection{List: strings.NewReader(text), ListName: "list"} }
	wantFiles(t, list(""))
	wantFiles(t, list("a\nsub/b"), "a=a", "sub/b=sub/b")
	wantFiles(t, list("\na\n\n./sub/../sub/b\n"), "a=a", "./sub/../sub/b=sub/b")
	// Neither a pattern nor standard input.
	wantFiles(t, list("*\n-\n# a\n"), "*=*", "-=-", "# a")
	wantFiles(t, list("a\r\n"), "a\r")
	wantFiles(t, list("sub\nmissing/..\n"), "sub", "missing/..")
	// What leads out is not part of a name.
	t.Chdir("sub")
	wantFiles(t, list("../a\n"+root+"/a\n../sub/x/c\n"), "../a=a", root+"/a="+root[1:]+"/a", "../sub/x/c=sub/x/c")
	t.Chdir("..")

	s := list("new\nline\x00sub/b\x00\x00a")
	s.Null = true
	wantFiles(t, s, "new\nline=new\nline", "sub/b=sub/b", "a=a")

	s = list("tree\nsub/x\n./sub/b\n")
	s.Recursive, s.Args = true, []string{"a"}
	s.Filter = flags(t, "-node_modules/", "-/sub/b")
	wantFiles(t, s, "a", "tree/1=tree/1", "sub/x/c=sub/x/c")
	s = list("sub\nsub/b\nsub/x\nsub/x/c\na\n.\n")
	s.Recursive, s.Filter = true, flags(t, "-sub/", "-tree", "-?", "-new*")
	wantFiles(t, s)
	s = list("tree/node_modules/2\n")
	s.Filter = flags(t, "-node_modules/")
	wantFiles(t, s)

	s = list("a\n" + strings.Repeat("x", 1e5))
	wantFiles(t, s, "a=a", "list local_io")
}

// TestFilesEndWithTheContext: each argument that is not done with is told of
// once, and a read of a list that never comes is left behind.
func TestFilesEndWithTheContext(t *testing.T) {
	plant(t, "tree/a/1", "tree/a/2", "tree/b/3", "x", "y")
	why := errors.New("why")
	in, typist := io.Pipe()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var got []string
	s := Selection{Args: []string{"x", "tree", "*", "y", "-"}, List: in, ListName: "list", Recursive: true}
	for e := range s.Files(ctx) {
		if e.Path == "tree/a/1" {
			cancel(why)
		}
		if ctx.Err() != nil && e.Path != "tree/a/1" && (!errors.Is(e.Err, why) || e.Path != e.From) {
			t.Errorf("%+v", e)
		}
		got = append(got, e.From)
	}
	typist.Close() // the read that was left behind ends with it
	if want := []string{"x", "tree", "tree", "*", "y", "-", "list"}; !slices.Equal(got, want) {
		t.Errorf("gave %q, want %q", got, want)
	}
}

func TestFilesEndWithTheirTaker(t *testing.T) {
	plant(t, "tree/a/1", "tree/b/2", "x", "y")
	for n := range 5 {
		s := Selection{Args: []string{"tree", "?", "**/1", "x"}, List: strings.NewReader("x\ny"), Recursive: true}
		taken := 0
		for range s.Files(t.Context()) {
			if taken++; taken > n {
				break
			}
		}
		if taken != n+1 {
			t.Errorf("%d were taken", taken)
		}
	}
}
