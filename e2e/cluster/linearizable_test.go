//go:build servers && linux

package cluster

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

const (
	histories = 200
	// unlockedHistories is after how many the build without the lock must have
	// been found out.
	unlockedHistories = 100
	// killedHistories is in every how many a node is killed.
	killedHistories = 20
	checkPatience   = 30 * time.Second
)

// TestLinearizable: commits, claims, deletions and reads by many clients, asked
// of all nodes while now and then one is killed, are answered as one daemon would
// that takes one request after the other.
func TestLinearizable(t *testing.T) {
	c := start(t, onMinIO(t, 3))
	seen := map[string]int{}
	for seed := range uint64(histories) {
		happens := func() {}
		if seed%killedHistories == 0 {
			happens = func() {
				n := c.nodes[seed/killedHistories%uint64(len(c.nodes))]
				n.Kill()
				n.Start()
			}
		}
		ops := c.newHistory(seed).run(happens)
		for _, op := range ops {
			seen[fmt.Sprintf("%s: %s", op.Input.(call).verb, op.Output.(reply).outcome)]++
		}
		if res := porcupine.CheckOperationsTimeout(model(), ops, checkPatience); res != porcupine.Ok {
			t.Fatalf("history %d is %s:\n%s", seed, res, text(ops))
		}
	}
	t.Logf("%v", seen)
	for _, verb := range []verb{putPart, commit, claim, abort, remove, read} {
		if seen[fmt.Sprintf("%s: %s", verb, done)] < histories {
			t.Errorf("%s was done %d times", verb, seen[fmt.Sprintf("%s: %s", verb, done)])
		}
	}
	c.finish()
}

// TestUnlockedCommitIsFound: where a commit does not lock its upload, the
// histories of TestLinearizable show it.
func TestUnlockedCommitIsFound(t *testing.T) {
	p := onMinIO(t, 3)
	p.binaries = unlocked
	c := start(t, p)
	for seed := range uint64(unlockedHistories) {
		ops := c.newHistory(seed).run(func() {})
		if porcupine.CheckOperationsTimeout(model(), ops, checkPatience) == porcupine.Illegal {
			t.Logf("history %d shows it", seed)
			return
		}
	}
	t.Errorf("no history of %d shows that the commit locks nothing", unlockedHistories)
}

// text is a history, in order of the calls, in which one of the longest
// beginnings that are right ends.
func text(ops []porcupine.Operation) string {
	slices.SortFunc(ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	_, info := porcupine.CheckOperationsVerbose(model(), ops, checkPatience)
	var longest []porcupine.Operation
	for _, partial := range info.PartialLinearizationsOperations()[0] {
		if len(partial) > len(longest) {
			longest = partial
		}
	}
	var b strings.Builder
	for _, op := range ops {
		mark := " "
		if !slices.Contains(longest, op) {
			mark = "?"
		}
		fmt.Fprintf(&b, "%s %12d %20d client %d %s\n", mark, op.Call, op.Return, op.ClientId, describe(op.Input.(call), op.Output.(reply)))
	}
	return b.String()
}
