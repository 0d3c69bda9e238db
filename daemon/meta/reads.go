package meta

import (
	"sync"

	"github.com/osproxy/osproxy/daemon/recent"
	"github.com/osproxy/osproxy/protocol"
)

const (
	// readsMax bounds the readings remembered, and readExtents and readText the
	// extents and the bytes of text of each: together some 20 MiB at most, and a
	// few where files are as usual.
	readsMax    = 8 << 10
	readExtents = 16
	readText    = 1 << 10
)

// reads remembers what Content answered. A reading holds as long as nothing at
// all is written, which is coarse, cannot be wrong, and is what a file needs
// that many read at once; after that, and where others write too, its extents
// do, while their gen is the content's.
type reads struct {
	mu     sync.Mutex
	recent *recent.Values[readKey, reading]
}

type readKey struct {
	owner protocol.Owner
	uid   protocol.UID
}

type reading struct {
	// changes is what engine.changes was before the reading.
	changes uint64
	file    protocol.File
	content Content
}

func newReads() *reads { return &reads{recent: recent.New[readKey, reading](readsMax)} }

func (r *reads) get(owner protocol.Owner, uid protocol.UID) (reading, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.recent.Get(readKey{owner, uid})
}

func (r *reads) put(owner protocol.Owner, uid protocol.UID, v reading) {
	if n := len(v.content.Extents); n == 0 || n > readExtents || textOf(v.file) > readText {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recent.Put(readKey{owner, uid}, v)
}

// textOf is how many bytes of a file's own text its reading holds: meta alone
// may have protocol.MaxMetaBytes.
func textOf(f protocol.File) int {
	n := len(f.Name)
	if f.MediaType != nil {
		n += len(*f.MediaType)
	}
	for k, v := range f.Meta {
		n += len(k) + len(v)
	}
	return n
}

// holds reports whether the reading is what the database would give: nothing
// was committed since, and the file has not expired at now.
func (v reading) holds(changes uint64, now int64) bool {
	return v.changes == changes && (v.file.ExpiresAt == nil || ms(v.file.ExpiresAt.Time) > now)
}
