package names_test

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/osproxy/osproxy/daemon/names"
	"github.com/osproxy/osproxy/protocol"
	"golang.org/x/text/unicode/norm"
)

// FuzzCheck: a name that a file may have has one spelling, and below a folder it
// is a path that stays below it.
func FuzzCheck(f *testing.F) {
	f.Fuzz(func(t *testing.T, name string) {
		if err := names.Check(name); err != nil {
			if protocol.KindOf(err) != protocol.KindBadName {
				t.Errorf("%q: %v", name, err)
			}
			return
		}
		if norm.NFC.String(name) != name || !utf8.ValidString(name) {
			t.Errorf("%q is allowed, and %q looks the same", name, norm.NFC.String(name))
		}
		if path := filepath.Join("/folder", name); path != "/folder/"+name || !filepath.IsLocal(name) {
			t.Errorf("%q is allowed, and below a folder it is %q", name, path)
		}
		if last := protocol.LastSegment(name); strings.ContainsAny(last, `/\`) || len(last) > protocol.MaxSegmentBytes {
			t.Errorf("%q is allowed, and its last segment is %q", name, last)
		}
	})
}
