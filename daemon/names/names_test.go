package names_test

import (
	"testing"

	"github.com/osproxy/osproxy/daemon/names"
	"github.com/osproxy/osproxy/protocol"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name string
		ok   bool
	}{
		{"a", true},
		{"dir/caf\u00e9.txt", true},
		{"dir/cafe\u0301.txt", false}, // the same to the eye, decomposed
		{"\u212b", false},             // ANGSTROM SIGN has a canonical twin
		{"日本語/ファイル", true},
		{"", false},
		{"a/../b", false},
		{"a\\b", false},
		{"\xff", false},
	} {
		err := names.Check(c.name)
		if c.ok && err != nil {
			t.Errorf("Check(%q) = %v", c.name, err)
		}
		if !c.ok && protocol.KindOf(err) != protocol.KindBadName {
			t.Errorf("Check(%q) = %v, want %s", c.name, err, protocol.KindBadName)
		}
	}
}
