package transfer

import (
	"os"
)

// Stamp is what a local file looks like without reading it, to see whether it
// was changed. Inode, device and change time are 0 where a system has none.
type Stamp struct {
	Size    int64  `json:"size"`
	MtimeNS int64  `json:"mtime_ns"`
	CtimeNS int64  `json:"ctime_ns"`
	Inode   uint64 `json:"inode"`
	Dev     uint64 `json:"dev"`
}

func stampOf(fi os.FileInfo) Stamp {
	s := Stamp{Size: fi.Size(), MtimeNS: fi.ModTime().UnixNano()}
	s.addSystem(fi)
	return s
}

// sameContent reports whether nothing says that the content changed. The
// change time is left out: chmod and a new hard link change it too.
func (s Stamp) sameContent(o Stamp) bool {
	s.CtimeNS, o.CtimeNS = 0, 0
	return s == o
}
