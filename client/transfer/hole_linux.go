package transfer

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// isHole reports whether nothing was ever written to n bytes of f from off. It
// moves f's position.
func isHole(f *os.File, off, n int64) bool {
	data, err := f.Seek(off, unix.SEEK_DATA)
	if err != nil {
		return errors.Is(err, unix.ENXIO) // no data from here to the end
	}
	return data >= off+n
}
