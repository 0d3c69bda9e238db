package names_test

import (
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/names"
	"github.com/osproxy/osproxy/protocol"
)

func TestMend(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"a.txt", "a.txt"},
		{"folder/a.txt", "folder/a.txt"},
		{`C:\pictures\a.png`, "C:_pictures_a.png"},
		{"cafe\u0301.txt", "caf\u00e9.txt"},
		{"a\nb.txt", "a_b.txt"},
		{"a\u202Egnp.exe", "a_gnp.exe"},
		{"bad \xff.txt", "bad _.txt"},
		{"/etc/passwd", "_etc_passwd"},
		{"a/../b", "a_.._b"},
		{"", "7.png"},
		{".", "7.png"},
		{"..", "7.png"},
		{strings.Repeat("ü", 200) + ".png", strings.Repeat("ü", 124) + "_7.png"},
	} {
		if got := names.Mend(c.name, "7.png"); got != c.want || names.Check(got) != nil {
			t.Errorf("Mend(%q) = %q, want %q", c.name, got, c.want)
		}
	}
}

// FuzzMend: whatever the name is, a file may have the one that comes of it, and
// what may be a name stays as it is.
func FuzzMend(f *testing.F) {
	f.Fuzz(func(t *testing.T, name string) {
		got := names.Mend(name, "7001.bin")
		if err := names.Check(got); err != nil {
			t.Errorf("%q became %q: %v", name, got, err)
		}
		if names.Check(name) == nil && got != name {
			t.Errorf("%q is allowed and became %q", name, got)
		}
		if names.Check(name) != nil && len(got) > protocol.MaxSegmentBytes {
			t.Errorf("%q became %q, of %d bytes", name, got, len(got))
		}
	})
}
