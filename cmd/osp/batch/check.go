package batch

import (
	"os"
	"path/filepath"

	"github.com/osproxy/osproxy/protocol"
)

// check finds what is wrong between lines. Texts are remembered by their hash,
// to keep memory small.
type check struct {
	// The number of the line that has an id, or that writes to a path.
	ids, targets map[protocol.XXH3]int
	// The number of the last line that gets a uid, and of the one that removes it.
	got, removed map[protocol.UID]int
}

func newCheck() *check {
	return &check{ids: map[protocol.XXH3]int{}, targets: map[protocol.XXH3]int{}, got: map[protocol.UID]int{}, removed: map[protocol.UID]int{}}
}

func (c *check) line(l Line) error {
	if l.ID != "" {
		if first := claim(c.ids, l.ID, l.Number); first != 0 {
			return badf("the id %q is that of line %d already", l.ID, first)
		}
	}
	switch l.Op {
	case Get:
		return c.get(l)
	case Remove:
		return c.remove(l)
	}
	return nil
}

// get refuses a second line that writes to one file. Lines may share a folder:
// what the files in it will be called, only the daemon knows.
func (c *check) get(l Line) error {
	if n := c.removed[l.UID]; n != 0 {
		return badf("%s is removed by line %d, and lines are run in no order", l.UID, n)
	}
	c.got[l.UID] = l.Number
	if l.Path == "" || os.IsPathSeparator(l.Path[len(l.Path)-1]) {
		return nil
	}
	if info, err := os.Stat(l.Path); err == nil && info.IsDir() {
		return nil
	}
	target, err := filepath.Abs(l.Path)
	if err != nil {
		return badf("path %q has no folder: %v", l.Path, err)
	}
	if first := claim(c.targets, target, l.Number); first != 0 {
		return badf("path %q is what line %d writes to already", l.Path, first)
	}
	return nil
}

func (c *check) remove(l Line) error {
	if n := c.removed[l.UID]; n != 0 {
		return badf("%s is removed by line %d already", l.UID, n)
	}
	if n := c.got[l.UID]; n != 0 {
		return badf("%s is downloaded by line %d, and lines are run in no order", l.UID, n)
	}
	c.removed[l.UID] = l.Number
	return nil
}

// claim notes that a line has the text. Where another has it, it gives that
// one's number, and else 0.
func claim(of map[protocol.XXH3]int, text string, number int) int {
	key := protocol.SumXXH3([]byte(text))
	first := of[key]
	if first == 0 {
		of[key] = number
	}
	return first
}
