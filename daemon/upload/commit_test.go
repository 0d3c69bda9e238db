package upload_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// TestSizes: every size around a block and a part is committed and reads back,
// its parts sent in ascending, descending or random order.
func TestSizes(t *testing.T) {
	sizes := []int64{0, 1, 2, protocol.HeadSize - 1, protocol.HeadSize, protocol.HeadSize + 1}
	for _, around := range []int64{block, 2 * block, 3 * block} {
		for d := int64(-2); d <= 2; d++ {
			sizes = append(sizes, around+d)
		}
	}
	eachStore(t, func(t *testing.T, b *bench) {
		for i, size := range sizes {
			content := random(int64(i), size)
			uid := b.begin(protocol.BeginUpload{Size: &size})
			b.putOrder(uid, protocol.MinPartSize, content, i)
			f := b.commit(uid, protocol.CommitUpload{Size: &size})
			if stored, err := b.db.File(t.Context(), owner, uid); err != nil || !reflect.DeepEqual(stored, f) {
				t.Errorf("commit answered %+v, stored is %+v (%v)", f, stored, err)
			}
			b.holds(uid, content)
		}
		b.mustBeSound()
	})
}

// putOrder sends the parts of content in one of three orders.
func (b *bench) putOrder(uid protocol.UID, partSize int64, content []byte, order int) {
	b.t.Helper()
	var offs []int64
	for off := int64(0); off < int64(len(content)); off += partSize {
		offs = append(offs, off)
	}
	switch order % 3 {
	case 1:
		slices.Reverse(offs)
	case 2:
		rand.New(rand.NewPCG(uint64(order), 1)).Shuffle(len(offs), func(i, j int) { offs[i], offs[j] = offs[j], offs[i] })
	}
	for _, off := range offs {
		b.put(uid, protocol.PartNumber(off/partSize+1), content[off:min(off+partSize, int64(len(content)))])
	}
}

// TestUnknownSizes: the size comes with the commit.
func TestUnknownSizes(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		for i, size := range []int64{0, 1, block - 1, block, block + 1, 3*block - 2, 3 * block} {
			content := random(int64(i), size)
			uid := b.beginBlocks(nil)
			b.putOrder(uid, block, content, i)
			_, _, err := b.Commit(t.Context(), owner, uid, protocol.CommitUpload{})
			wants(t, err, protocol.KindSizeRequired)
			b.commit(uid, protocol.CommitUpload{Size: &size})
			b.holds(uid, content)
		}
		content := random(9, protocol.MinPartSizeUnknown+1)
		uid := b.begin(protocol.BeginUpload{})
		b.putAll(uid, protocol.MinPartSizeUnknown, content)
		b.commit(uid, protocol.CommitUpload{Size: ptr(int64(len(content)))})
		b.holds(uid, content)
		b.mustBeSound()
	})
}

// TestOrders: all orders of three parts, and one of them sent once more.
func TestOrders(t *testing.T) {
	content := random(1, 2*block+1)
	b := newEnded(t, setup{})
	for i, order := range permutations(3) {
		uid := b.beginBlocks(ptr(int64(len(content))))
		for _, n := range append(order, order[i%3]) {
			b.put(uid, protocol.PartNumber(n+1), content[n*block:min((n+1)*block, len(content))])
		}
		b.commit(uid, protocol.CommitUpload{})
		if got, f := b.content(uid); f.Digest == nil || len(got) != len(content) || protocol.SumXXH3(got) != protocol.SumXXH3(content) {
			t.Errorf("sent in the order %v: other bytes", order)
		}
	}
	b.mustBeSound()
}

func permutations(n int) (all [][]int) {
	if n == 0 {
		return [][]int{{}}
	}
	for _, p := range permutations(n - 1) {
		for i := range n {
			all = append(all, slices.Insert(slices.Clone(p), i, n-1))
		}
	}
	return all
}

// TestCommitRefuses: each reason, and that nothing changes.
func TestCommitRefuses(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		content := random(1, 3*block+7)
		size := int64(len(content))
		all := b.beginBlocks(&size)
		b.putAll(all, block, content)
		gaps := b.beginBlocks(&size)
		b.put(gaps, 2, content[block:2*block])
		open := b.beginBlocks(nil)
		b.putAll(open, block, content)
		short := b.beginBlocks(nil)
		b.put(short, 1, content[:block-1])
		b.put(short, 2, content[:block])
		nothing := b.beginBlocks(nil)
		huge := int64(protocol.MaxParts)*block + 1
		for name, c := range map[string]struct {
			uid     protocol.UID
			commit  protocol.CommitUpload
			want    protocol.Kind
			missing string
			parts   int
		}{
			"another size":           {all, protocol.CommitUpload{Size: ptr(size - 1)}, protocol.KindPartsDiffer, "", 4},
			"other parts":            {all, protocol.CommitUpload{PartsXXH3: &protocol.XXH3{}}, protocol.KindPartsDiffer, "", 4},
			"another digest":         {all, protocol.CommitUpload{Digest: &protocol.Digest{}}, protocol.KindDigestDiffers, "", 0},
			"missing":                {gaps, protocol.CommitUpload{}, protocol.KindPartsMissing, "[[1 1] [3 4]]", 0},
			"without a size":         {open, protocol.CommitUpload{}, protocol.KindSizeRequired, "", 0},
			"a size below 0":         {open, protocol.CommitUpload{Size: ptr(int64(-1))}, protocol.KindBadRequest, "", 0},
			"bytes beyond":           {open, protocol.CommitUpload{Size: ptr(size - 1)}, protocol.KindPartsDiffer, "", 4},
			"all bytes beyond":       {open, protocol.CommitUpload{Size: ptr(int64(0))}, protocol.KindPartsDiffer, "", 4},
			"a byte missing":         {open, protocol.CommitUpload{Size: ptr(size + 1)}, protocol.KindPartsMissing, "[[4 4]]", 0},
			"a part missing":         {open, protocol.CommitUpload{Size: ptr(5*size + 1)}, protocol.KindPartsMissing, "[[4 16]]", 0},
			"an inner one short":     {short, protocol.CommitUpload{Size: ptr(int64(2 * block))}, protocol.KindPartsMissing, "[[1 1]]", 0},
			"nothing":                {nothing, protocol.CommitUpload{Size: ptr(int64(1))}, protocol.KindPartsMissing, "[[1 1]]", 0},
			"more than parts can be": {nothing, protocol.CommitUpload{Size: &huge}, protocol.KindTooManyParts, "", 0},
			"too large":              {nothing, protocol.CommitUpload{Size: ptr(int64(protocol.MaxSize + 1))}, protocol.KindTooLarge, "", 0},
			"another's":              {1, protocol.CommitUpload{}, protocol.KindNotFound, "", 0},
		} {
			_, _, err := b.Commit(t.Context(), owner, c.uid, c.commit)
			if got := protocol.KindOf(err); got != c.want {
				t.Errorf("%s: %q (%v), want %q", name, got, err, c.want)
				continue
			}
			e, _ := errors.AsType[*protocol.Error](err)
			if c.missing != "" && fmt.Sprint(e.Missing) != c.missing || len(e.Parts) != c.parts {
				t.Errorf("%s: missing %v, parts %v; want %s and %d", name, e.Missing, e.Parts, c.missing, c.parts)
			}
		}
		for uid, n := range map[protocol.UID]int{all: 4, gaps: 1, open: 4, short: 2, nothing: 0} {
			if got := b.parts(uid); len(got) != n {
				t.Errorf("%s lists %v after refused commits, want %d parts", uid, got, n)
			}
		}
		b.mustBeSound()
	})
}

// TestCommitCompares: what the caller says of its parts is compared in full,
// and a repeated commit is not compared at all.
func TestCommitCompares(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		content := random(1, 2*block+7)
		size := int64(len(content))
		uid := b.beginBlocks(nil)
		var sums []protocol.XXH3
		for off := 0; off < len(content); off += block {
			sums = append(sums, b.put(uid, protocol.PartNumber(off/block+1), content[off:min(off+block, len(content))]).XXH3)
		}
		want, _, err := protocol.HashContent(slicesReader(content))
		must(t, err)
		f := b.commit(uid, protocol.CommitUpload{Size: &size, PartsXXH3: ptr(protocol.PartsXXH3(sums)), Digest: &want})
		again, repeated, err := b.Commit(t.Context(), owner, uid, protocol.CommitUpload{Size: ptr(int64(1)), Digest: &protocol.Digest{}})
		if err != nil || !repeated || again.UID != f.UID || *again.Digest != *f.Digest {
			t.Errorf("the repeated commit: %+v, %v, %v", again, repeated, err)
		}
		_, _, err = b.Commit(t.Context(), "another", uid, protocol.CommitUpload{})
		wants(t, err, protocol.KindNotFound)
	})
}

// TestNewestBytesWin: a part sent again replaces the one before, and two files
// of equal content share it.
func TestNewestBytesWin(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		content, other := random(1, 2*block), random(2, block)
		for range 2 {
			uid := b.beginBlocks(ptr(int64(2 * block)))
			b.put(uid, 1, other)
			b.put(uid, 2, content[block:])
			b.put(uid, 1, content[:block])
			b.commit(uid, protocol.CommitUpload{})
			b.holds(uid, content)
			b.mustBeSound()
		}
	})
}
