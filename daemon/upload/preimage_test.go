package upload_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/binary"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
)

// sameXXH3 are two runs of n bytes that have one XXH3, as who knows its secret,
// which is public, makes them for any bytes.
func sameXXH3(t *testing.T, seed, n int64) (good, planted []byte) {
	t.Helper()
	good = random(seed, n)
	planted = bytes.Clone(good)
	for i, word := range []uint64{0xc9b7667416922b21, 0x1f67b3b61aa33719, 0x78e5c0cc50fa4344, 0x9dfb25097dd05a82} {
		binary.LittleEndian.PutUint64(good[64*i+16:], 0)
		binary.LittleEndian.PutUint64(planted[64*i+16:], word)
	}
	if bytes.Equal(good, planted) || protocol.SumXXH3(good) != protocol.SumXXH3(planted) {
		t.Fatal("these are not two runs of bytes of one XXH3")
	}
	return good, planted
}

// A file that is put whole is of the bytes that came, whatever lay under the link.
func TestLinkedPutIsOfItsOwnBytes(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		for _, sum := range []bool{true, false} { // v0 and v1
			good, planted := sameXXH3(t, 1, 5000)
			l := b.linked()
			l.AnySize = true
			begin := protocol.BeginUpload{Name: "a", Size: ptr(int64(len(good)))}
			_, err := b.BeginLinked(t.Context(), l, protocol.BeginUpload{Name: "a"})
			must(t, err)
			_, err = b.PutLinkedPart(t.Context(), l, 1, body(planted))
			must(t, err)
			put := func() (protocol.File, error) {
				in := body(good)
				if sum {
					in = chunkBody(good)
				}
				return b.PutLinked(t.Context(), l, begin, in)
			}
			_, err = put()
			wants(t, err, protocol.KindPartsDiffer)
			f, err := put()
			must(t, err)
			b.holds(f.UID, good)
		}
	})
}

// Nor does it help to be quicker than the commit.
func TestLinkedPutCommitsItsOwnBytes(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		good, planted := sameXXH3(t, 1, 5000)
		l := b.linked()
		asked := 0
		l.Still = func(ctx context.Context) error {
			if asked++; asked < 2 { // before the part, and before the commit
				return nil
			}
			_, err := b.PutPart(ctx, owner, l.UID, 1, body(planted))
			return err
		}
		_, err := b.PutLinked(t.Context(), l, protocol.BeginUpload{Name: "a", Size: ptr(int64(len(good)))}, chunkBody(good))
		wants(t, err, protocol.KindDigestDiffers)
		if _, err := b.db.File(t.Context(), owner, l.UID); protocol.KindOf(err) != protocol.KindNotFound {
			t.Errorf("there is a file: %v", err)
		}
	})
}

// A chunk of the same length, XXH3 and MD5 is not the same chunk.
func TestChunkIsComparedBySHA256(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		good, planted := sameXXH3(t, 1, 5000)
		l := b.linked()
		b.chunk(l, 1, planted)
		parts, _, err := b.db.Parts(t.Context(), owner, l.UID)
		must(t, err)
		// Two of one MD5 beside that are more work than a test may have.
		parts[0].MD5 = ptr(md5.Sum(good))
		_, _, err = b.db.RecordChunk(t.Context(), owner, l.UID, meta.NewChunk{NewPart: parts[0].NewPart})
		must(t, err)
		if got := b.sendChunk(l, 1, chunkBody(good)); got != protocol.KindPartsDiffer {
			t.Errorf("the other bytes are %s", got)
		}
		if got := b.sendChunk(l, 1, upload.Body{Reader: bytes.NewReader(planted), Length: 5000, MD5: ptr(md5.Sum(good))}); got != protocol.KindChecksumMismatch {
			t.Errorf("those that are held, by the other MD5, are %s", got)
		}
	})
}
