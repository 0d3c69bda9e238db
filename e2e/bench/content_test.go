package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestNewFilesAreFreshInEachRound(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "source")
	seen := map[string]bool{}
	for round := range 3 {
		files, err := newFiles(dir, names(2), 1000, round)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil || len(data) != 1000 {
				t.Fatalf("%s has %d bytes, %v", f, len(data), err)
			}
			seen[string(data)] = true
		}
	}
	if len(seen) != 6 {
		t.Errorf("%d different files of 6", len(seen))
	}
}

func TestSameFiles(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	file := filepath.Join(a, "f")
	data := bytes.Repeat([]byte("x"), 3<<20)
	write := func(path string, data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file, data)
	for _, c := range []struct {
		name string
		data []byte
		ok   bool
	}{
		{"same", data, true},
		{"short", data[:len(data)-1], false},
		{"short by a buffer", data[:2<<20], false},
		{"long", append(bytes.Clone(data), 'x'), false},
		{"other", append(bytes.Clone(data[:len(data)-1]), 'y'), false},
	} {
		write(filepath.Join(b, "f"), c.data)
		if err := sameFiles([]string{file}, b); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
