package object

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	"github.com/osproxy/osproxy/store"
)

// gathering reads ranges one after the other, and sums up each and all.
type gathering struct {
	ctx    context.Context
	from   Vendor
	ranges []store.Piece
	body   io.ReadCloser // of the first one, once it is read
	left   int64         // what is left of it
	each   hash.Hash
	all    hash.Hash
	sums   sums
}

// sums are MD5s in hex: of each range, and of all together.
type sums struct {
	each []string
	all  string
}

func newGathering(ctx context.Context, from Vendor, ranges []store.Piece) *gathering {
	return &gathering{ctx: ctx, from: from, ranges: ranges, each: md5.New(), all: md5.New()} // as ETags are
}

func (g *gathering) Read(p []byte) (n int, err error) {
	for n == 0 && err == nil {
		if g.body == nil {
			if err := g.open(); err != nil {
				return 0, err
			}
		}
		n, err = g.body.Read(p)
		if errors.Is(err, io.EOF) && g.left == int64(n) {
			err = nil // of this range
		}
		g.each.Write(p[:n])
		g.all.Write(p[:n])
		if g.left -= int64(n); g.left == 0 {
			err = errors.Join(err, g.next())
		}
	}
	return n, err
}

// open begins with the next range, or is io.EOF.
func (g *gathering) open() (err error) {
	if len(g.ranges) == 0 {
		g.sums.all = hex.EncodeToString(g.all.Sum(nil))
		return io.EOF
	}
	r := g.ranges[0]
	g.body, err = g.from.Get(g.ctx, r.Key, r.Offset, r.Length)
	g.left = r.Length
	return err
}

func (g *gathering) next() error {
	g.sums.each = append(g.sums.each, hex.EncodeToString(g.each.Sum(nil)))
	g.each.Reset()
	g.ranges = g.ranges[1:]
	return g.close()
}

func (g *gathering) close() error {
	if g.body == nil {
		return nil
	}
	err := g.body.Close()
	g.body = nil
	return err
}
