//go:build servers && linux

package cluster

import (
	"bytes"
	"debug/buildinfo"
	"os"
	"strings"
	"testing"
)

// unlockedTag is the build tag of ospd whose commit locks nothing.
const unlockedTag = "unlockedcommit"

// TestShippedBuildLocks: what users get is built without that tag.
func TestShippedBuildLocks(t *testing.T) {
	for binary, want := range map[string]bool{bin.OSPD: false, unlocked.OSPD: true} {
		info, err := buildinfo.ReadFile(binary)
		if err != nil {
			t.Fatal(err)
		}
		has := false
		for _, s := range info.Settings {
			has = has || s.Key == "-tags" && strings.Contains(s.Value, unlockedTag)
		}
		if has != want {
			t.Errorf("%s is built with the tag %s: %v", binary, unlockedTag, has)
		}
	}
	for _, name := range []string{"../../Makefile", "../../goreleaser.yaml", "../../scripts/packaged.sh"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			if bytes.Contains(line, []byte(unlockedTag)) && !bytes.Contains(line, []byte("vet")) {
				t.Errorf("%s builds with the tag: %s", name, line)
			}
		}
	}
}
