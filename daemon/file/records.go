package file

import (
	"sync"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/recent"
	"github.com/osproxy/osproxy/protocol"
)

const (
	// recordsOf bounds the blocks of a content whose records are remembered:
	// what is read so often that it matters is small.
	recordsOf = 16
	// recordsMax bounds the contents, in some MiB.
	recordsMax = 8 << 10
)

// records remembers what is recorded of the blocks of small contents. It never
// changes, wherever their bytes are moved.
type records struct {
	mu     sync.Mutex
	recent *recent.Values[meta.ContentID, []protocol.Block]
}

func newRecords() *records {
	return &records{recent: recent.New[meta.ContentID, []protocol.Block](recordsMax)}
}

// get gives the records of all blocks of the content, or nil.
func (r *records) get(id meta.ContentID) []protocol.Block {
	r.mu.Lock()
	defer r.mu.Unlock()
	list, _ := r.recent.Get(id)
	return list
}

// put remembers the records of all blocks of the content, unless they are many.
func (r *records) put(id meta.ContentID, list []protocol.Block) {
	if len(list) > recordsOf {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recent.Put(id, list)
}
