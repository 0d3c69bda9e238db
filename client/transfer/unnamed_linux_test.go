package transfer

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// TestGetOfOneBlockHasNoNameBeforeItIsWhole: while its bytes come there is
// nothing that a killed run could leave, neither beside the target nor among
// the transfers; with more blocks, and where a file is to be replaced, there is.
func TestGetOfOneBlockHasNoNameBeforeItIsWhole(t *testing.T) {
	for name, c := range map[string]struct {
		size   int
		exists IfExists
		there  bool
		names  int
	}{
		"one block":          {size: protocol.BlockSize},
		"a few bytes":        {size: 3},
		"two blocks":         {size: protocol.BlockSize + 1, names: 1},
		"to replace another": {size: 3, exists: ExistsOverwrite, there: true, names: 2},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			data := random(c.size, 1)
			f := r.d.add("in/a", data)
			tree, err := OpenTree(r.dir)
			if err != nil {
				t.Fatal(err)
			}
			defer tree.Close()
			if c.there {
				if err := os.Mkdir(filepath.Join(r.dir, "in"), 0o755); err != nil {
					t.Fatal(err)
				}
				r.write(t, "in/a", 9)
			}
			r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
				if strings.HasSuffix(q.URL.Path, "/content") {
					entries, err := os.ReadDir(filepath.Join(r.dir, "in"))
					if all, _, _ := r.cfg.State.List(); err != nil || len(entries) != c.names || (len(all) > 0) != (c.names > 0) {
						t.Errorf("while it comes: %v, transfers %v, error %v", entries, all, err)
					}
				}
				serve(w, q)
			})
			res, err := r.Get(t.Context(), GetRequest{UID: f.UID, In: tree, IfExists: c.exists})
			if err != nil || !res.Verified {
				t.Fatal(res, err)
			}
			holds(t, filepath.Join(r.dir, "in"), map[string][]byte{"a": data})
			r.transfers(t, 0)
		})
	}
}

// TestGetWhereNoNameCanBeGiven: a file system may have files without names and
// refuse to name them, and some file may have come meanwhile.
func TestGetWhereNoNameCanBeGiven(t *testing.T) {
	for _, taken := range []bool{false, true} {
		r := newRig(t)
		data := random(100, 1)
		f := r.d.add("a", data)
		want := map[string][]byte{"a": data}
		r.loose = func(at target) *unnamed {
			u := openUnnamed(at)
			if err := u.folder.Close(); err != nil { // a name needs its folder
				t.Fatal(err)
			}
			if taken {
				_, want["a"] = r.write(t, "a", 7)
			}
			return u
		}
		_, err := r.Get(t.Context(), GetRequest{UID: f.UID, Path: r.dir})
		if taken {
			wantKind(t, err, protocol.KindLocalExists)
		} else if err != nil {
			t.Fatal(err)
		}
		holds(t, r.dir, want)
		r.transfers(t, 0)
	}
}
