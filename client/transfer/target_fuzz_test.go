package transfer

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// FuzzLocalName: whatever a daemon says that a file is called, it does not lead
// out of the folder that the file goes into, and not to another name in it.
func FuzzLocalName(f *testing.F) {
	const folder = "/folder"
	below := func(name string) bool {
		return filepath.IsLocal(name) && filepath.Join(folder, name) == folder+"/"+filepath.ToSlash(name) && !strings.ContainsRune(name, 0)
	}
	f.Fuzz(func(t *testing.T, stored string) {
		name, err := localName(stored)
		if err == nil && (!below(name) || strings.ContainsAny(name, `/\`) || name != protocol.LastSegment(stored)) {
			t.Errorf("%q becomes %q", stored, name)
		}
		path, perr := localPath(stored)
		if perr == nil && (!below(path) || filepath.ToSlash(path) != stored) {
			t.Errorf("%q becomes the path %q", stored, path)
		}
		if perr == nil && err != nil {
			t.Errorf("%q can be a path and no name: %v", stored, err)
		}
		for _, err := range []error{err, perr} {
			if err != nil && protocol.KindOf(err) != protocol.KindBadName {
				t.Errorf("%q: %v", stored, err)
			}
		}
	})
}
