package cli

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon"
)

// TestWhoseADataFolderIs: root acts as the user who has all of what a daemon reads, and
// stays root where some of it is root's, whoever made the lock. Who is not root has no
// choice, and can make no file another's.
func TestWhoseADataFolderIs(t *testing.T) {
	const alice, bob = 54321, 54322
	isRoot := os.Geteuid() == 0
	for name, c := range map[string]struct {
		// files are whose those are that are there, folder whose that of the data is.
		files  map[string]int
		folder int
		want   int
	}{
		"nothing yet, a folder of root's":     {nil, 0, 0},
		"nothing yet, a folder of alice's":    {nil, alice, alice},
		"all alice's":                         {map[string]int{"lock": alice, "node": alice, "meta.db": alice}, 0, alice},
		"all alice's, in a folder of bob's":   {map[string]int{"lock": alice, "meta.db": alice}, bob, alice},
		"all root's, in a folder of alice's":  {map[string]int{"lock": 0, "node": 0, "meta.db": 0}, alice, 0},
		"the lock alice's, who tried it":      {map[string]int{"lock": alice, "node": 0, "meta.db": 0}, alice, 0},
		"the id root's, on Postgres":          {map[string]int{"lock": alice, "node": 0}, alice, 0},
		"the database root's, of an old ospd": {map[string]int{"lock": alice, "meta.db": 0}, alice, 0},
		"an id of before the first start":     {map[string]int{"node": alice}, 0, alice},
	} {
		data := t.TempDir()
		for file, whose := range c.files {
			path := filepath.Join(data, file)
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if isRoot {
				if err := os.Chown(path, whose, whose); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !isRoot {
			c.want = 0
		} else if err := os.Chown(data, c.folder, c.folder); err != nil {
			t.Fatal(err)
		}
		o, err := ownerOf(daemon.Config{Data: data})
		if err != nil || (o == nil) != (c.want == 0) || o != nil && (o.uid != c.want || o.gid != c.want) {
			t.Errorf("%s: %v, %v, want user %d", name, o, err, c.want)
		}
	}
}

// TestAUserIsNamed in what root is told that cannot act as him.
func TestAUserIsNamed(t *testing.T) {
	if named := (&owner{uid: 0}).String(); named != "user root (0)" {
		t.Errorf("root is %q", named)
	}
	const unknown = 1<<31 - 7
	if named := (&owner{uid: unknown}).String(); !strings.Contains(named, strconv.Itoa(unknown)) {
		t.Errorf("one without a name is %q", named)
	}
}
