package transfer

import (
	"os"
	"syscall"
)

func (s *Stamp) addSystem(fi os.FileInfo) {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		s.CtimeNS, s.Inode, s.Dev = st.Ctim.Nano(), st.Ino, uint64(st.Dev)
	}
}
