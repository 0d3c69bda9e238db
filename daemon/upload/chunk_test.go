package upload_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store/mem"
)

var chunked = protocol.BeginUpload{Name: "in chunks"}

func chunkBody(p []byte) upload.Body {
	return upload.Body{Reader: bytes.NewReader(p), Length: int64(len(p)), MD5: ptr(md5.Sum(p))}
}

// sendChunk sends a chunk and gives the kind of the error.
func (b *bench) sendChunk(l upload.Linked, n protocol.PartNumber, body upload.Body) protocol.Kind {
	_, err := b.PutLinkedChunk(b.t.Context(), l, chunked, n, body)
	return protocol.KindOf(err)
}

func (b *bench) chunk(l upload.Linked, n protocol.PartNumber, p []byte) {
	b.t.Helper()
	got, err := b.PutLinkedChunk(b.t.Context(), l, chunked, n, chunkBody(p))
	must(b.t, err)
	if got.Number != n || got.Length != int64(len(p)) || got.XXH3 != protocol.SumXXH3(p) {
		b.t.Errorf("chunk %d is answered with %+v", n, got)
	}
}

func (b *bench) merge(l upload.Linked, num int, content []byte) (protocol.File, error) {
	return b.MergeLinked(b.t.Context(), l, upload.Merge{Num: num, Size: int64(len(content)), MD5: md5.Sum(content)})
}

// held expects the chunks that are held, by number.
func (b *bench) held(l upload.Linked, want ...protocol.PartNumber) {
	b.t.Helper()
	got, err := b.Chunks(b.t.Context(), l.Owner, l.UID)
	must(b.t, err)
	if got == nil || len(got) != len(want) {
		b.t.Fatalf("held are %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			b.t.Fatalf("held are %v, want %v", got, want)
		}
	}
}

// reads expects a file of these bytes, whose digest may not be known.
func (b *bench) reads(uid protocol.UID, content []byte) protocol.File {
	b.t.Helper()
	got, f := b.content(uid)
	if !bytes.Equal(got, content) || f.Size != int64(len(content)) {
		b.t.Errorf("file %s has other bytes (%d, want %d)", uid, len(got), len(content))
	}
	return f
}

// However they are cut and in whatever order they come, chunks become the file.
// Where they came in order its MD5 is known at once; where they are whole blocks
// its digest is.
func TestChunksBecomeTheFile(t *testing.T) {
	for name, c := range map[string]struct {
		lengths      []int
		order        []protocol.PartNumber
		md5, digests bool
	}{
		"one":                          {[]int{5}, []protocol.PartNumber{1}, true, true},
		"in order":                     {[]int{3, 1, 7}, []protocol.PartNumber{1, 2, 3}, true, false},
		"out of order":                 {[]int{3, 1, 7}, []protocol.PartNumber{2, 3, 1}, false, false},
		"whole blocks, out of order":   {[]int{block, block, 5}, []protocol.PartNumber{3, 1, 2}, false, true},
		"whole blocks, in order":       {[]int{block, 3}, []protocol.PartNumber{1, 2}, true, true},
		"blocks and a byte":            {[]int{block + 1, block}, []protocol.PartNumber{1, 2}, true, false},
		"the last behind the others":   {[]int{1, 2, 3}, []protocol.PartNumber{1, 3, 2}, false, false},
		"one again in order is enough": {[]int{1, 2}, []protocol.PartNumber{1, 1, 2}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, b *bench) {
				var chunks [][]byte
				var content []byte
				for i, n := range c.lengths {
					chunks = append(chunks, random(int64(i), int64(n)))
					content = append(content, chunks[i]...)
				}
				l := b.linked()
				for _, n := range c.order {
					b.chunk(l, n, chunks[n-1])
				}
				f, err := b.merge(l, len(chunks), content)
				must(t, err)
				if (f.MD5 != nil) != c.md5 || (f.Digest != nil) != c.digests || f.Name != chunked.Name {
					t.Errorf("merged to %+v", f)
				}
				if c.digests {
					b.holds(l.UID, content)
				} else {
					b.reads(l.UID, content)
				}
				b.held(l)
				again, err := b.merge(l, len(chunks), content)
				must(t, err)
				if again.UID != f.UID || again.ETag != f.ETag || again.CommittedAt != f.CommittedAt {
					t.Errorf("merged again to %+v", again)
				}
				b.mustBeSound()
			})
		})
	}
}

func TestChunkRefused(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		five := []byte("12345")
		l, bounded := b.linked(), b.linked()
		bounded.MaxSize = 7
		b.chunk(bounded, 2, five)
		plain := func(r io.Reader, n int64) upload.Body {
			return upload.Body{Reader: r, Length: n, MD5: ptr(md5.Sum(five))}
		}
		for name, c := range map[string]struct {
			l    upload.Linked
			n    protocol.PartNumber
			body upload.Body
			want protocol.Kind
		}{
			"number 0":         {l, 0, chunkBody(five), protocol.KindBadPart},
			"number 10001":     {l, 10001, chunkBody(five), protocol.KindBadPart},
			"nothing":          {l, 1, chunkBody(nil), protocol.KindBadLength},
			"no length":        {l, 1, plain(nil, -1), protocol.KindBadLength},
			"no MD5":           {l, 1, upload.Body{Reader: bytes.NewReader(five), Length: 5}, protocol.KindBadRequest},
			"another MD5":      {l, 1, upload.Body{Reader: bytes.NewReader(five), Length: 5, MD5: &[16]byte{}}, protocol.KindChecksumMismatch},
			"cut short":        {l, 1, plain(bytes.NewReader(five[:4]), 5), protocol.KindBadLength},
			"past the link's":  {bounded, 1, chunkBody(five), protocol.KindTooLarge},
			"past the largest": {l, 1, plain(nil, protocol.MaxSize+1), protocol.KindTooLarge},
		} {
			if got := b.sendChunk(c.l, c.n, c.body); got != c.want {
				t.Errorf("%s: %q, want %q", name, got, c.want)
			}
		}
		b.held(l)
		b.held(bounded, 2)
		_, err := b.Chunks(t.Context(), "another", l.UID)
		wants(t, err, protocol.KindNotFound)
		b.mustBeSound()
	})
}

// U01 of the predecessor's defects: a corrupt retry of an accepted chunk left
// nothing of it.
func TestU01CorruptRetryLeavesTheChunk(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		a, c := random(1, 100), random(2, 100)
		l := b.linked()
		b.chunk(l, 1, a)
		for name, bad := range map[string]upload.Body{
			"other bytes under its MD5":   {Reader: bytes.NewReader(c), Length: 100, MD5: ptr(md5.Sum(a))},
			"its bytes under another MD5": {Reader: bytes.NewReader(a), Length: 100, MD5: ptr(md5.Sum(c))},
			"other bytes, another length": {Reader: bytes.NewReader(c), Length: 99, MD5: ptr(md5.Sum(a))},
		} {
			if got := b.sendChunk(l, 1, bad); got != protocol.KindChecksumMismatch {
				t.Errorf("%s: %q", name, got)
			}
		}
		b.held(l, 1)
		_, err := b.merge(l, 1, a)
		must(t, err)
		b.holds(l.UID, a)
		b.mustBeSound()
	})
}

// U02, J08, J09: a merge that is wrong destroyed what was sent.
func TestU02WrongMergeChangesNothing(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		one, three := random(1, 5), random(3, 7)
		content := append(bytes.Clone(one), three...)
		l := b.linked()
		if _, err := b.merge(l, 1, one); protocol.KindOf(err) != protocol.KindNotFound {
			t.Errorf("of no chunks: %v", err)
		}
		b.chunk(l, 1, one)
		b.chunk(l, 3, three)
		wrong := func(name string, m upload.Merge, want protocol.Kind) {
			t.Helper()
			if _, err := b.MergeLinked(t.Context(), l, m); protocol.KindOf(err) != want {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
			_, err := b.db.File(t.Context(), owner, l.UID)
			wants(t, err, protocol.KindNotFound)
		}
		sum := md5.Sum(content)
		wrong("no chunks", upload.Merge{Num: 0, Size: 12, MD5: sum}, protocol.KindBadRequest)
		wrong("less than none", upload.Merge{Num: -1, Size: 12, MD5: sum}, protocol.KindBadRequest)
		wrong("too many", upload.Merge{Num: 10001, Size: 12, MD5: sum}, protocol.KindBadRequest)
		wrong("as many, with a gap", upload.Merge{Num: 2, Size: 12, MD5: sum}, protocol.KindPartsMissing)
		wrong("with a gap", upload.Merge{Num: 3, Size: 12, MD5: sum}, protocol.KindPartsMissing)
		b.held(l, 1, 3)
		b.chunk(l, 2, three)
		wrong("fewer than there are", upload.Merge{Num: 2, Size: 12, MD5: sum}, protocol.KindPartsDiffer)
		wrong("more than there are", upload.Merge{Num: 4, Size: 19, MD5: sum}, protocol.KindPartsMissing)
		wrong("another size", upload.Merge{Num: 3, Size: 18, MD5: sum}, protocol.KindPartsDiffer)
		wrong("less than nothing", upload.Merge{Num: 3, Size: -1, MD5: sum}, protocol.KindBadRequest)
		b.held(l, 1, 2, 3)
		content = append(content, three...)
		_, err := b.merge(l, 3, content)
		must(t, err)
		b.reads(l.UID, content)
		if _, err := b.MergeLinked(t.Context(), l, upload.Merge{Num: 3, Size: 19, MD5: sum}); protocol.KindOf(err) != protocol.KindCommitted {
			t.Errorf("merged again as another: %v", err)
		}
	})
}

func TestMergeRefusesAnotherMD5InOrder(t *testing.T) {
	b := newEnded(t, setup{backend: mem.New()})
	l := b.linked()
	b.chunk(l, 1, []byte("one"))
	b.chunk(l, 2, []byte("two"))
	if _, err := b.merge(l, 2, []byte("onetwO")); protocol.KindOf(err) != protocol.KindDigestDiffers {
		t.Fatalf("with another MD5: %v", err)
	}
	b.held(l, 1, 2)
	b.chunk(l, 2, []byte("twO"))
	_, err := b.merge(l, 2, []byte("onetwO"))
	must(t, err)
	b.reads(l.UID, []byte("onetwO"))
}

// A chunk that a power cut took counts for nothing in the MD5 of the others.
func TestMergeWithoutALostChunk(t *testing.T) {
	b := newEnded(t, setup{})
	l := b.linked()
	b.chunk(l, 1, []byte("one"))
	b.chunk(l, 2, []byte("two"))
	parts, _, err := b.db.Parts(t.Context(), owner, l.UID)
	must(t, err)
	must(t, b.db.DropPart(t.Context(), l.UID, 2, parts[1].Gen))
	_, err = b.merge(l, 1, []byte("one"))
	must(t, err)
	b.reads(l.UID, []byte("one"))
}

// U03: sixteen at once recorded a chunk twice.
func TestU03ConcurrentDuplicates(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		p := random(1, 300<<10)
		l := b.linked()
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				if got := b.sendChunk(l, 1, chunkBody(p)); got != "" {
					t.Errorf("one of them: %q", got)
				}
			})
		}
		wg.Wait()
		b.held(l, 1)
		for range 4 {
			wg.Go(func() {
				if _, err := b.merge(l, 1, p); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		b.holds(l.UID, p)
		b.mustBeSound()
	})
}

// A chunk that arrives while the others are merged is in the file, or is refused.
func TestChunkAgainstMerge(t *testing.T) {
	b := newEnded(t, setup{})
	for range 20 {
		l := b.linked()
		old, other := []byte("old"), []byte("new")
		b.chunk(l, 1, old)
		var wg sync.WaitGroup
		var put, merged protocol.Kind
		wg.Go(func() { put = b.sendChunk(l, 1, chunkBody(other)) })
		wg.Go(func() { _, err := b.merge(l, 1, old); merged = protocol.KindOf(err) })
		wg.Wait()
		switch {
		case merged == "" && put == protocol.KindCommitted:
			b.reads(l.UID, old)
		case merged == protocol.KindDigestDiffers && put == "":
			b.held(l, 1)
		default:
			t.Fatalf("the chunk: %q, the merge: %q", put, merged)
		}
	}
}

func TestChunksAndPartsAreNotOfOneFile(t *testing.T) {
	b := newEnded(t, setup{})
	l := b.linked()
	b.chunk(l, 1, []byte("12345"))
	five := []byte("12345")
	size := ptr(int64(5))
	_, err := b.PutLinked(t.Context(), l, protocol.BeginUpload{Name: "a", Size: size}, body(five))
	wants(t, err, protocol.KindConflict)
	_, err = b.PutPart(t.Context(), owner, l.UID, 1, body(five))
	wants(t, err, protocol.KindConflict)
	_, err = b.PutLinkedPart(t.Context(), l, 1, body([]byte("other")))
	wants(t, err, protocol.KindConflict)
	_, _, err = b.Commit(t.Context(), owner, l.UID, protocol.CommitUpload{Size: size})
	wants(t, err, protocol.KindConflict)
	u, err := b.Upload(t.Context(), owner, l.UID)
	must(t, err)
	if u.Parts == nil || len(u.Parts) > 0 || u.Size != nil {
		t.Errorf("described as %+v", u)
	}
	_, err = b.BeginLinked(t.Context(), l, protocol.BeginUpload{Name: "a"})
	wants(t, err, protocol.KindConflict)
	_, err = b.StartClaim(t.Context(), owner, l.UID, protocol.Digest{}, "")
	wants(t, err, protocol.KindClaimRefused)
	list, err := b.Uploads(t.Context(), owner, 0, "")
	must(t, err)
	if len(list.Uploads) != 1 || list.Uploads[0].UID != l.UID || list.Uploads[0].Size != nil {
		t.Errorf("listed as %+v", list.Uploads)
	}
	b.held(l, 1)
	uid := b.begin(protocol.BeginUpload{Size: size})
	whole := upload.Linked{Owner: owner, UID: uid, MaxSize: -1}
	if got := b.sendChunk(whole, 1, chunkBody(five)); got != protocol.KindConflict {
		t.Errorf("a chunk of an upload in parts: %q", got)
	}
	_, err = b.merge(whole, 1, five)
	wants(t, err, protocol.KindConflict)
	b.held(whole)
	must(t, b.Abort(t.Context(), owner, l.UID))
	if got := b.sendChunk(l, 1, chunkBody(five)); got != protocol.KindConflict {
		t.Errorf("a chunk after the abort: %q", got)
	}
	b.mustBeSound()
}

func TestChunksOfALinkThatEnded(t *testing.T) {
	b := newEnded(t, setup{})
	l := b.linked()
	b.chunk(l, 1, []byte("12345"))
	l.Still = func(context.Context) error { return protocol.Errorf(protocol.KindUnauthenticated, "it ended") }
	if got := b.sendChunk(l, 2, chunkBody([]byte("6"))); got != protocol.KindUnauthenticated {
		t.Errorf("a chunk: %q", got)
	}
	_, err := b.merge(l, 1, []byte("12345"))
	wants(t, err, protocol.KindUnauthenticated)
	b.held(l, 1)
}

// The owner's quota holds what is sent in chunks as it comes.
func TestChunksAndQuota(t *testing.T) {
	b := newEnded(t, setup{})
	ten := int64(10)
	must(t, b.db.SetQuota(t.Context(), owner, meta.Quota{Bytes: &ten}))
	l := b.linked()
	b.chunk(l, 1, random(1, 6))
	reader := bytes.NewReader(random(2, 6))
	if got := b.sendChunk(l, 2, upload.Body{Reader: reader, Length: 6, MD5: ptr(md5.Sum(random(2, 6)))}); got != protocol.KindQuotaExceeded {
		t.Errorf("past the quota: %q", got)
	}
	if reader.Len() != 6 {
		t.Error("bytes were taken that there is no room for")
	}
	b.chunk(l, 2, random(2, 4))
	content := append(random(1, 6), random(2, 4)...)
	_, err := b.merge(l, 2, content)
	must(t, err)
	u, err := b.db.Usage(t.Context(), owner)
	must(t, err)
	if u != (meta.Usage{Bytes: 10, Files: 1}) {
		t.Errorf("charged are %+v", u)
	}
}

func TestChunksSurviveARestart(t *testing.T) {
	for name, boot := range map[string]string{"of the daemon": "boot 1", "of the machine": "boot 2"} {
		t.Run(name, func(t *testing.T) {
			b := newEnded(t, setup{})
			l := b.linked()
			one, two := random(1, 100), random(2, 50)
			b.chunk(l, 1, one)
			b.restart(boot)
			b.held(l, 1)
			b.chunk(l, 1, one)
			b.chunk(l, 2, two)
			b.restart(boot)
			content := append(bytes.Clone(one), two...)
			f, err := b.merge(l, 2, content)
			must(t, err)
			if f.MD5 == nil {
				t.Error("that they came in order was forgotten")
			}
			b.reads(l.UID, content)
			for _, f := range b.findings(boot) {
				t.Error(f)
			}
		})
	}
}

func TestManySmallChunks(t *testing.T) {
	b := newEnded(t, setup{change: func(c *upload.Config) { c.IdleAfter = time.Hour }})
	l := b.linked()
	var content []byte
	for n := range 300 {
		p := random(int64(n), 3)
		b.chunk(l, protocol.PartNumber(n+1), p)
		content = append(content, p...)
	}
	_, err := b.merge(l, 300, content)
	must(t, err)
	b.reads(l.UID, content)
	b.mustBeSound()
}

// What a stranger replaces is on the disk for a while, past its owner's quota.
func TestChunksAreNotReplacedForEver(t *testing.T) {
	b := newEnded(t, setup{})
	l := b.linked()
	for n := range 11 {
		b.chunk(l, 1, random(int64(n), 5))
	}
	if got := b.sendChunk(l, 1, chunkBody(random(20, 5))); got != protocol.KindRateLimited {
		t.Errorf("once more: %q", got)
	}
	b.clock.add(time.Hour)
	b.chunk(l, 1, random(20, 5))
	b.held(l, 1)
}
