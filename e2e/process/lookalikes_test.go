//go:build servers

package process

import (
	"bytes"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// TestTwoPutsOfLookalikesStayApart: two processes put different files of equal
// size, fingerprint and name at once. Each uid reads back as the file of the
// process that printed it.
func TestTwoPutsOfLookalikesStayApart(t *testing.T) {
	d := harness.StartDaemon(t, bin, t.TempDir())
	api := d.API()
	for round := range 4 {
		var twins [2][]byte
		var runs [2]*harness.Process
		twins[0] = harness.Content(uint64(round), 5*protocol.BlockSize)
		twins[1] = bytes.Clone(twins[0])
		for off := int64(1 << 20); off < int64(len(twins[1])); off += protocol.BlockSize {
			twins[1][off] ^= 1
		}
		requireLookalikes(t, twins)
		shared := harness.NewOSP(t, bin, d.URL)
		for i, data := range twins {
			osp := shared
			if round%2 == 1 {
				osp = harness.NewOSP(t, bin, d.URL)
			}
			runs[i] = osp.Start("put", "-q", "--connections", "2", harness.WriteFile(t, "twin", data))
		}
		for i, p := range runs {
			if exit := p.Wait(); exit != 0 {
				t.Fatalf("round %d: put %d left with %d:\n%s", round, i, exit, p.Stderr())
			}
			uid, err := protocol.ParseUID(strings.TrimSpace(p.Stdout()))
			if err != nil {
				t.Fatal(err)
			}
			api.MustHold(uid, twins[i])
		}
	}
	if n := len(api.Files()); n != 8 {
		t.Errorf("8 puts made %d files", n)
	}
	stopClean(t, d)
}

func requireLookalikes(t *testing.T, twins [2][]byte) {
	t.Helper()
	var prints [2]protocol.Fingerprint
	for i, data := range twins {
		var err error
		if prints[i], err = protocol.FingerprintReader(bytes.NewReader(data), int64(len(data))); err != nil {
			t.Fatal(err)
		}
	}
	if prints[0] != prints[1] || bytes.Equal(twins[0], twins[1]) {
		t.Fatal("the test's files are no lookalikes")
	}
}
