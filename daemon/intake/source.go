package intake

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"
	"strings"

	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/local"
)

// objects are what an import goes through.
type objects interface {
	Browse(ctx context.Context, prefix, after string) iter.Seq2[store.Found, error]
	Describe(ctx context.Context, name string) (store.Found, error)
	Marked(ctx context.Context, dir string) (bool, error)
	Read(ctx context.Context, name string, off, n int64) (io.ReadCloser, error)
}

// source is where an import takes objects from.
type source struct {
	objects
	// store is the one they lie in, nil for a folder that is in none.
	store *store.Store
	// folder: what it has are files of this machine.
	folder bool
	// prefix begins the names of those that are meant. Of a name the first cut
	// bytes are no part of the file's, and path takes their place in the manifest.
	prefix string
	cut    int
	path   string
	// from and a name are the object, all sources together.
	from string
	// others begin the names that are those of other stores of the configuration.
	others []string
	// close lets the source go.
	close func() error
}

// stored are the foreign objects of a store.
type stored struct {
	store.Browser
	st *store.Store
}

// Read is Get.
func (s stored) Read(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	return s.st.Get(ctx, store.ForeignKey(name), off, n)
}

// prefixes are how a configured store is named; all mean the same.
func prefixes() []string { return []string{"store", "s3", "oss", "cos", "local"} }

// maxPath bounds the path of a folder: it is a part of an index's entries.
const maxPath = 1024

// open finds out what a source means. Errors say what to do, and are
// KindBadRequest but where the folder cannot be opened.
func (w *Worker) open(a Args) (*source, error) {
	if path, ok := strings.CutPrefix(a.Source, "dir:"); ok {
		return w.openDir(a, path)
	}
	if name := a.store(); name != "" {
		_, prefix, _ := strings.Cut(a.Source, "/")
		return w.openStore(name, prefix, prefix[:strings.LastIndexByte(prefix, '/')+1])
	}
	return nil, refused("%.200q is no source of an import", "Give s3:NAME/PREFIX, where NAME is that of a store in the configuration, or dir:PATH.", a.Source)
}

// store is the name of the store that the source is, "" where it is none.
func (a Args) store() string {
	scheme, rest, _ := strings.Cut(a.Source, ":")
	name, _, _ := strings.Cut(rest, "/")
	if !slices.Contains(prefixes(), scheme) {
		return ""
	}
	return name
}

// openStore takes the objects of a store; path stands for what is cut off their
// names up to the prefix's last slash.
func (w *Worker) openStore(name, prefix, path string) (*source, error) {
	st := w.cfg.Stores[name]
	if st == nil {
		return nil, refused("there is no store %.100q", "`osp admin stores` lists those of the configuration.", name)
	}
	b, ok := st.Browser()
	if !ok {
		return nil, refused("store %q does not list objects that are not ospd's", "", name)
	}
	_, folder := w.cfg.Folders[name]
	return &source{objects: stored{b, st}, store: st, folder: folder, prefix: prefix, cut: strings.LastIndexByte(prefix, '/') + 1,
		path: path, from: "store:" + name + "/", others: w.cfg.Others[name], close: func() error { return nil }}, nil
}

// openDir takes the files of a folder, as objects of the store in whose folder
// it lies, if it does.
func (w *Worker) openDir(a Args, path string) (*source, error) {
	if !filepath.IsAbs(path) || len(path) > maxPath {
		return nil, refused("%.200q is not an absolute path of at most %d bytes", "A folder is one of the daemon's machine.", path, maxPath)
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	shown := strings.TrimSuffix(filepath.ToSlash(path), "/") + "/"
	for name, folder := range w.cfg.Folders {
		root, err := filepath.EvalSymlinks(folder)
		if err != nil {
			continue // nothing lies in what is not there
		}
		if below, ok := within(root, real); ok {
			return w.openStore(name, below, shown)
		}
		if _, ok := within(real, root); ok {
			return nil, refused("the folder %s holds that of store %q", "Import folders beside it, or the store's own with s3:"+name+".", path, name)
		}
	}
	if data, err := filepath.EvalSymlinks(w.cfg.Data); err == nil {
		_, in := within(data, real)
		if _, around := within(real, data); in || around {
			return nil, refused("the folder %s is that of the daemon's own data, or lies around or in it", "", path)
		}
	}
	if a.InPlace {
		return nil, refused("the folder %s lies in no configured store, so that nothing in it can be served where it is",
			"Configure a store of type local there, or import copies, without --in-place.", path)
	}
	folder, err := local.OpenFolder(real)
	if err != nil {
		return nil, unreadable(path, err)
	}
	return &source{objects: folder, folder: true, path: shown, from: w.whose() + strings.TrimSuffix(filepath.ToSlash(real), "/") + "/", close: folder.Close}, nil
}

// whose begins what names the files in folders: another node has others under the
// same paths, which are neither these nor changed ones.
func (w *Worker) whose() string {
	if w.cfg.Node == "" {
		return "dir:"
	}
	return "dir@" + string(w.cfg.Node) + ":"
}

// within gives where path lies in root, "" for root itself and else ending in a
// slash.
func within(root, path string) (string, bool) {
	rel, err := filepath.Rel(root, path)
	if err != nil || !filepath.IsLocal(rel) {
		return "", false
	}
	if rel == "." {
		return "", true
	}
	return filepath.ToSlash(rel) + "/", true
}

func refused(message, hint string, args ...any) error {
	e := protocol.Errorf(protocol.KindBadRequest, message+"; nothing was imported", args...)
	e.Hint = hint
	return e
}

func unreadable(path string, err error) error {
	why := "it cannot be opened"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		why = "there is no such folder on the daemon's machine"
	case errors.Is(err, fs.ErrPermission):
		why = "the daemon may not read it"
	}
	return &protocol.Error{Kind: protocol.KindBadRequest, Message: "folder " + path + ": " + why + "; nothing was imported", Err: err}
}
