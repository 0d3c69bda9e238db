package upload

import (
	"crypto/md5"
	"crypto/sha256"
	"hash"
	"io"

	"github.com/zeebo/xxh3"

	"github.com/osproxy/osproxy/protocol"
)

// whole hashes all of a body that is received in parts, where the caller gave
// its hashes.
type whole struct {
	r      io.Reader
	xxh3   *xxh3.Hasher
	sha256 hash.Hash
	md5    hash.Hash
}

func newWhole(body Body) *whole {
	w := &whole{r: body.Reader}
	if body.XXH3 != nil {
		w.xxh3 = xxh3.New()
		w.r = io.TeeReader(w.r, w.xxh3)
	}
	if body.SHA256 != nil {
		w.sha256 = sha256.New()
		w.r = io.TeeReader(w.r, w.sha256)
	}
	if body.MD5 != nil {
		w.md5 = md5.New()
		w.r = io.TeeReader(w.r, w.md5)
	}
	return w
}

// Read is io.Reader.
func (w *whole) Read(p []byte) (int, error) { return w.r.Read(p) }

func (w *whole) check(body Body) error {
	var r received
	if w.xxh3 != nil {
		r.xxh3 = protocol.XXH3(w.xxh3.Sum128().Bytes())
	}
	if w.sha256 != nil {
		r.sha256 = [32]byte(w.sha256.Sum(nil))
	}
	if w.md5 != nil {
		r.md5 = [md5.Size]byte(w.md5.Sum(nil))
	}
	return body.check(r)
}
