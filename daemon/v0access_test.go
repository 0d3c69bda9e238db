package daemon

import (
	"slices"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/api"
	"github.com/osproxy/osproxy/protocol"
)

// TestOsproxyImportOwner: unless it is said, files of osproxy's are of the owner
// to whom its clients come.
func TestOsproxyImportOwner(t *testing.T) {
	for _, c := range []struct{ said, v0, want protocol.Owner }{
		{"", "", protocol.OwnerLocal},
		{"", "team", "team"},
		{"me", "team", "me"},
		{"me", "", "me"},
	} {
		if got := (OsproxyImport{Owner: c.said}).ownerOf(Config{V0Access: V0AccessConfig{Owner: c.v0}}); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// TestV0AccessConfig: lists from a file and from the environment; and what is
// wrong is said when the daemon starts.
func TestV0AccessConfig(t *testing.T) {
	for _, c := range []struct {
		text    string
		environ []string
		owner   string
		from    string
		says    string
	}{
		{},
		{text: "v0_access: {}"},
		{text: `v0_access: {owner: local, from: ["127.0.0.0/8"]}`, owner: "local", from: "127.0.0.0/8"},
		{text: `v0_access: {owner: apps, from: ["10.1.2.3", "::1", "fd00::/8"]}`, owner: "apps", from: "10.1.2.3/32 ::1/128 fd00::/8"},
		{text: `v0_access: {owner: apps, from: ["::ffff:10.1.2.3"]}`, owner: "apps", from: "10.1.2.3/32"},
		{environ: []string{"OSPD_V0_ACCESS__OWNER=local", "OSPD_V0_ACCESS__FROM=127.0.0.0/8, ::1"}, owner: "local", from: "127.0.0.0/8 ::1/128"},
		{text: `v0_access: {from: ["127.0.0.0/8"]}`, says: "v0_access.owner"},
		{text: `v0_access: {owner: local}`, says: "v0_access.from"},
		{text: `v0_access: {owner: "a b", from: ["127.0.0.0/8"]}`, says: "v0_access.owner"},
		{text: `v0_access: {owner: local, from: ["127.0.0.1/8"]}`, says: "127.0.0.0/8 is the block"},
		{text: `v0_access: {owner: local, from: ["localhost"]}`, says: `"localhost"`},
		{text: `v0_access: {owner: local, from: [""]}`, says: "v0_access.from"},
		{text: `v0_access: {owner: local, from: ["::ffff:127.0.0.0/104"]}`, says: "v0_access.from"},
		{text: `v0_access: {owner: local, from: ["127.0.0.0/8"], to: x}`, says: "v0_access.to"},
	} {
		cfg, err := LoadConfig(write(t, c.text), c.environ, map[string]any{"data": t.TempDir()})
		if c.says != "" {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v, want that it says %s", c.text, err, c.says)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		a, err := cfg.V0Access.access()
		if got := texts(a); err != nil || string(a.Owner) != c.owner || !slices.Equal(got, strings.Fields(c.from)) {
			t.Errorf("%s %v: %v %q, %v", c.text, c.environ, got, a.Owner, err)
		}
	}
}

func texts(a api.V0Access) (list []string) {
	for _, p := range a.From {
		list = append(list, p.String())
	}
	return list
}
