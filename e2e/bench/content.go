package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// newFiles writes files of random bytes into an empty folder at dir; round
// makes them differ from those of every other round. It returns their paths.
func newFiles(dir string, names []string, size int64, round int) ([]string, error) {
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755)); err != nil {
		return nil, err
	}
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], uint64(round))
	random := rand.NewChaCha8(key)
	var paths []string
	buf := make([]byte, min(size, 1<<20))
	for _, n := range names {
		path := filepath.Join(dir, n)
		if err := writeRandom(path, random, size, buf); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

func writeRandom(path string, random io.Reader, size int64, buf []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, io.LimitReader(random, size), buf)
	return errors.Join(err, f.Close())
}

// sameFiles fails unless the folder holds the same bytes under the names of
// the files.
func sameFiles(files []string, dir string) error {
	a, b := make([]byte, 1<<20), make([]byte, 1<<20)
	for _, f := range files {
		if err := same(f, filepath.Join(dir, filepath.Base(f)), a, b); err != nil {
			return fmt.Errorf("what came back of %s: %w", filepath.Base(f), err)
		}
	}
	return nil
}

func same(one, other string, a, b []byte) error {
	f, err := os.Open(one)
	if err != nil {
		return err
	}
	defer f.Close()
	g, err := os.Open(other)
	if err != nil {
		return err
	}
	defer g.Close()
	for {
		n, errF := io.ReadFull(f, a)
		m, errG := io.ReadFull(g, b)
		if !bytes.Equal(a[:n], b[:m]) {
			return errors.New("other bytes than were put")
		}
		if errF != nil || errG != nil {
			return ended(errF, errG)
		}
	}
}

// ended tells the end of two equal files from an error of either.
func ended(errs ...error) error {
	for _, err := range errs {
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return err
		}
	}
	return nil
}
