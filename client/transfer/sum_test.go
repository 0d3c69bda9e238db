package transfer

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/osproxy/osproxy/protocol"
)

// digestOf is the digest by the definition of WIRE 2, block after block.
func digestOf(data []byte) protocol.Digest {
	whole := sha256.New()
	for len(data) > 0 {
		n := min(len(data), protocol.BlockSize)
		sum := sha256.Sum256(data[:n])
		whole.Write(sum[:])
		data = data[n:]
	}
	return protocol.Digest(whole.Sum(nil))
}

// Files and streams of the same bytes have the same hashes, at every edge of a
// block.
func TestHash(t *testing.T) {
	const b = protocol.BlockSize
	path := filepath.Join(t.TempDir(), "a.bin")
	for _, n := range []int{0, 1, b - 1, b, b + 1, 3 * b, 9*b + 5} {
		data := random(n, uint64(n))
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		sha, m := sha256.Sum256(data), md5.Sum(data)
		want := digestOf(data)
		for _, algorithm := range []Algorithm{AlgorithmDigest, AlgorithmSHA256, AlgorithmMD5} {
			p := &Progress{}
			for name, req := range map[string]HashRequest{
				"file":   {Path: path},
				"stream": {Path: "-", Stream: iotest.HalfReader(bytes.NewReader(data))},
			} {
				req.Algorithm = algorithm
				res, err := Hash(t.Context(), req, p)
				if err != nil || res.Size != int64(n) || res.Path != req.Path || res.Outcome != Skipped {
					t.Fatalf("%s of %d bytes: %+v, %v", name, n, res, err)
				}
				got := map[Algorithm]string{AlgorithmSHA256: res.SHA256, AlgorithmMD5: res.MD5}
				if res.Digest != nil {
					got[AlgorithmDigest] = res.Digest.String()
				}
				expected := map[Algorithm]string{AlgorithmDigest: want.String(), AlgorithmSHA256: hex.EncodeToString(sha[:]), AlgorithmMD5: hex.EncodeToString(m[:])}
				for a, hash := range got {
					if a == algorithm && hash != expected[a] || a != algorithm && hash != "" {
						t.Errorf("%s of %d bytes, %s: %s is %q", name, n, algorithm, a, hash)
					}
				}
			}
			if s := p.Snapshot(); s.Moved != 2*int64(n) || s.Bytes != 2*int64(n) || s.ItemsDone != 2 {
				t.Errorf("%d bytes: progress %+v", n, s)
			}
		}
	}
}

// The digest does not depend on how many blocks are folded at once.
func TestDigestIsFoldedInWindows(t *testing.T) {
	for _, n := range []int{0, 1, 2*protocol.BlockSize - 1, 2 * protocol.BlockSize, 5*protocol.BlockSize + 1} {
		data := random(n, uint64(n))
		for window := 1; window < 8; window++ {
			got, err := digestWindows(t.Context(), bytes.NewReader(data), int64(n), window, func(int64) {})
			if err != nil || got != digestOf(data) {
				t.Errorf("%d bytes, %d blocks at once: %s, %v", n, window, got, err)
			}
		}
	}
}

func TestHashRefuses(t *testing.T) {
	dir := t.TempDir()
	for path, kind := range map[string]protocol.Kind{dir: protocol.KindUsage, filepath.Join(dir, "missing"): protocol.KindLocalMissing} {
		res, err := Hash(t.Context(), HashRequest{Path: path, Algorithm: AlgorithmDigest}, nil)
		wantKind(t, err, kind)
		if res.Outcome != Failed || res.Digest != nil {
			t.Errorf("%s: %+v", path, res)
		}
	}
	broken := io.MultiReader(bytes.NewReader(random(protocol.BlockSize+1, 1)), iotest.ErrReader(errors.New("torn")))
	for _, algorithm := range []Algorithm{AlgorithmDigest, AlgorithmMD5} {
		res, err := Hash(t.Context(), HashRequest{Path: "-", Stream: broken, Algorithm: algorithm}, nil)
		wantKind(t, err, protocol.KindLocalIO)
		if !strings.Contains(err.Error(), "it has no hash: torn") || res.Digest != nil || res.MD5 != "" {
			t.Errorf("%s: %+v, %v", algorithm, res, err)
		}
		broken = iotest.ErrReader(errors.New("torn"))
	}
}

// A file that is written to while it is hashed has no hash.
func TestHashOfAFileThatChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.bin")
	if err := os.WriteFile(path, random(100, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := openLocal(path, toHash())
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if err := os.Truncate(path, 50); err != nil {
		t.Fatal(err)
	}
	for _, algorithm := range []Algorithm{AlgorithmDigest, AlgorithmSHA256} {
		h := &hashing{req: HashRequest{Path: path, Algorithm: algorithm}, item: (*Progress)(nil).begin()}
		h.arrived = h.item.arrive()
		e := wantKind(t, h.file(t.Context(), l), protocol.KindLocalChanged)
		if !strings.Contains(e.Message, "it became shorter") || !strings.Contains(e.Message, "so it has no one hash") {
			t.Errorf("%s: %v", algorithm, e)
		}
	}
}
