package transfer

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/osproxy/osproxy/protocol"
)

// The runs are the missing blocks, in order, each at most maxRun neighbours,
// and not fewer runs than connections while there are blocks for them.
func TestPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.IntRange(0, 200).Draw(t, "blocks")
		connections := rapid.IntRange(1, 16).Draw(t, "connections")
		size := int64(count)*protocol.BlockSize - rapid.Int64Range(0, protocol.BlockSize-1).Draw(t, "short")*int64(min(count, 1))
		var missing []int
		for i := range count {
			if rapid.Bool().Draw(t, "missing") {
				missing = append(missing, i)
			}
		}
		runs := plan(missing, connections)
		var got []int
		for _, r := range runs {
			if n := r.end - r.first; n < 1 || n > maxRun {
				t.Fatalf("run %+v", r)
			}
			off, n := r.bytes(size)
			if off != int64(r.first)*protocol.BlockSize || off+n > size || n <= 0 {
				t.Fatalf("run %+v is %d bytes from %d of %d", r, n, off, size)
			}
			for i := r.first; i < r.end; i++ {
				got = append(got, i)
			}
		}
		if !slices.Equal(got, missing) {
			t.Fatalf("runs %v of missing %v", runs, missing)
		}
		if len(runs) < min(connections, len(missing)) {
			t.Fatalf("%d runs for %d connections and %d blocks", len(runs), connections, len(missing))
		}
	})
}

// Whatever of a part file came, exactly what does not match is missing.
func TestMissingBlocks(t *testing.T) {
	const b = protocol.BlockSize
	data := slices.Concat(random(b, 1), make([]byte, b), make([]byte, b/2), random(b/2, 2), random(b, 3), random(b, 4), make([]byte, 7))
	h := protocol.NewPartHasher()
	h.Write(data)
	_, blocks := h.Sum()
	var sums []byte
	for _, block := range blocks {
		sums = append(sums, block.SHA256[:]...)
	}
	for name, c := range map[string]struct {
		harm func(p []byte)
		want []int
	}{
		"all there": {func(p []byte) {}, nil},
		"a hole":    {func(p []byte) { clear(p) }, []int{0, 2, 3, 4}},
		"a flipped byte in zeros, and one in the last bytes": {func(p []byte) { p[2*b-1] = 1; p[5*b+6] = 1 }, []int{1, 5}},
		"half a block": {func(p []byte) { clear(p[3*b+b/2 : 4*b]) }, []int{3}},
	} {
		part := bytes.Clone(data)
		c.harm(part)
		for _, sparse := range []bool{false, true} {
			f := partFile(t, part, sparse)
			got, err := missingBlocks(t.Context(), f, int64(len(part)), sums)
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%s, sparse %v: missing %v, want %v, %v", name, sparse, got, c.want, err)
			}
			f.Close()
		}
	}
}

// partFile is a file of these bytes, with holes where they are zero if sparse.
func partFile(t *testing.T, data []byte, sparse bool) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "part"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(int64(len(data))); err != nil {
		t.Fatal(err)
	}
	const page = 4096
	for off := 0; off < len(data); off += page {
		p := data[off:min(off+page, len(data))]
		if sparse && allZero(p) {
			continue
		}
		if _, err := f.WriteAt(p, int64(off)); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func TestHoleHash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []byte
		h := &holeHash{sha: sha256.New()}
		for range rapid.IntRange(0, 8).Draw(t, "writes") {
			p := make([]byte, rapid.IntRange(0, 600<<10).Draw(t, "length"))
			if len(p) > 0 && rapid.Bool().Draw(t, "solid") {
				p[rapid.IntRange(0, len(p)-1).Draw(t, "at")] = 1
			}
			h.Write(p)
			all = append(all, p...)
		}
		if want := sha256.Sum256(all); !bytes.Equal(h.sum(), want[:]) {
			t.Fatal("another SHA-256")
		}
	})
}

func TestDigestFile(t *testing.T) {
	for _, n := range []int{0, 1, protocol.BlockSize - 1, protocol.BlockSize, protocol.BlockSize + 1, 5*protocol.BlockSize + 3} {
		data := random(n, 9)
		want, _, _ := protocol.HashContent(bytes.NewReader(data))
		var done atomic.Int64
		got, err := digestFile(t.Context(), bytes.NewReader(data), int64(n), func(n int64) { done.Add(n) })
		if err != nil || got != want || done.Load() != int64(n) {
			t.Errorf("%d bytes: %s after %d, want %s, %v", n, got, done.Load(), want, err)
		}
	}
	if _, err := digestFile(t.Context(), bytes.NewReader(make([]byte, 5)), 6, func(int64) {}); err == nil {
		t.Error("a short file has a digest")
	}
}

func TestLocalName(t *testing.T) {
	for stored, want := range map[string]string{
		"a": "a", "x/y/a.iso": "a.iso", "数据/文件.bin": "文件.bin", ".hidden": ".hidden", "-rf": "-rf",
		"": "", "..": "", ".": "", "a/..": "", "a/": "", "a/\x00": "", "a/b\n": "", `a/..\..\evil`: "", "a/\u202egpj.exe": "", "/": "",
	} {
		got, err := localName(stored)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", stored, got, err)
		}
	}
}

func TestWindowsRefuses(t *testing.T) {
	for name, want := range map[string]bool{
		"con": true, "NUL": true, "nul.txt": true, "COM1": true, "lpt9.a.b": true, "COM¹": true, "con .txt": true, "CONIN$": true,
		"a:b": true, "a.": true, "a ": true, "a?": true, `a\b`: true, "a|b": true,
		"console": false, "com": false, "COM10": false, "LPTX": false, "a.con": false, "文件": false, "a b": false, ".a": false,
	} {
		if got := windowsRefuses(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

func TestPartPath(t *testing.T) {
	dir := t.TempDir()
	id := newID()
	if got, want := partPath(filepath.Join(dir, "a.bin"), id), filepath.Join(dir, ".a.bin.osp-"+string(id)+".part"); got != want {
		t.Error(got)
	}
	long := partPath(filepath.Join(dir, strings.Repeat("文", 85)), id)
	if base := filepath.Base(long); len(base) > 255 || !utf8.ValidString(base) || filepath.Dir(long) != dir {
		t.Errorf("%q has %d bytes", base, len(base))
	}
}
