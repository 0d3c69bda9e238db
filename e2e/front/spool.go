package front

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"net/http"
	"os"
)

// inMemory is how much of a body is kept in memory.
const inMemory = 1 << 20

// spooled is a body that can be read again, in memory or in a file.
type spooled struct {
	head []byte
	file *os.File
	size int64
	sum  uint64
}

// spool reads a body to its end.
func (f *Front) spool(r io.Reader) (_ *spooled, err error) {
	sum := crc64.New(ecma)
	r = io.TeeReader(r, sum)
	var head bytes.Buffer
	n, err := io.CopyN(&head, r, inMemory)
	s := &spooled{head: head.Bytes(), size: n}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, incomplete(err)
	}
	if err == nil {
		if s.file, err = os.CreateTemp(f.Spool, "front-"); err != nil {
			return nil, err
		}
		more, err := io.Copy(s.file, r)
		if err != nil {
			return nil, errors.Join(incomplete(err), s.drop())
		}
		s.size += more
	}
	s.sum = sum.Sum64()
	return s, nil
}

func incomplete(err error) error {
	return Refuse(http.StatusBadRequest, "IncompleteBody", "the body: %v", err)
}

// reader reads the body from its beginning.
func (s *spooled) reader() io.Reader {
	if s.file == nil {
		return bytes.NewReader(s.head)
	}
	return io.MultiReader(bytes.NewReader(s.head), io.NewSectionReader(s.file, 0, s.size-int64(len(s.head))))
}

func (s *spooled) drop() error {
	if s.file == nil {
		return nil
	}
	if err := errors.Join(s.file.Close(), os.Remove(s.file.Name())); err != nil {
		return fmt.Errorf("remove a spooled body: %w", err)
	}
	return nil
}
