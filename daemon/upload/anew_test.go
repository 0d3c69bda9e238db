package upload_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"io"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
)

// linkedAny is a link of v0, which puts a file of any size in either way.
func (b *bench) linkedAny() upload.Linked {
	l := b.linked()
	l.AnySize = true
	return l
}

// sendWhole sends a link's file whole and gives the kind of the error.
func (b *bench) sendWhole(l upload.Linked, body upload.Body) protocol.Kind {
	_, err := b.PutLinked(b.t.Context(), l, protocol.BeginUpload{Name: chunked.Name, Size: &body.Length}, body)
	return protocol.KindOf(err)
}

// wrong is a body that has not its MD5, during which look is called.
func wrong(p []byte, look func()) upload.Body {
	return upload.Body{Reader: &lookingReader{bytes.NewReader(p), look}, Length: int64(len(p)), MD5: ptr(md5.Sum(append(p, 0)))}
}

func during(p []byte, look func()) upload.Body {
	body := chunkBody(p)
	body.Reader = &lookingReader{body.Reader, look}
	return body
}

// What was refused leaves a link as good as before, for the file whole and for
// its chunks.
func TestWhatIsRefusedFixesNoWay(t *testing.T) {
	five, seven := []byte("12345"), []byte("1234567")
	eachStore(t, func(t *testing.T, b *bench) {
		refuse := map[string]func(l upload.Linked){
			"chunk": func(l upload.Linked) {
				t.Helper()
				if got := b.sendChunk(l, 2, wrong(seven, nil)); got != protocol.KindChecksumMismatch {
					t.Fatalf("a wrong chunk: %q", got)
				}
			},
			"whole": func(l upload.Linked) {
				t.Helper()
				if got := b.sendWhole(l, wrong(seven, nil)); got != protocol.KindChecksumMismatch {
					t.Fatalf("a wrong file: %q", got)
				}
			},
			"broken chunk": func(l upload.Linked) {
				t.Helper()
				body := chunkBody(five)
				body.Reader = iotest.ErrReader(io.ErrUnexpectedEOF)
				if got := b.sendChunk(l, 1, body); got != protocol.KindBadLength {
					t.Fatalf("a chunk that breaks off: %q", got)
				}
			},
		}
		for _, refused := range [][]string{{"chunk"}, {"whole"}, {"broken chunk"}, {"chunk", "whole"}, {"whole", "chunk"}, {"chunk", "whole", "broken chunk", "whole", "chunk"}} {
			whole, chunks := b.linkedAny(), b.linkedAny()
			for _, what := range refused {
				refuse[what](whole)
				refuse[what](chunks)
			}
			if got := b.sendWhole(whole, chunkBody(five)); got != "" {
				t.Fatalf("whole after %q: %q", refused, got)
			}
			b.holds(whole.UID, five)
			b.chunk(chunks, 1, five)
			b.held(chunks, 1)
			b.charged("of both", 10)
			_, err := b.merge(chunks, 1, five)
			must(t, err)
			b.holds(chunks.UID, five)
			for _, l := range []upload.Linked{whole, chunks} {
				must(t, b.db.DeleteFile(t.Context(), owner, l.UID))
			}
		}
		b.charged("at the end", 0)
		b.mustBeSound()
	})
}

// What is held fixes the way, and stays.
func TestWhatIsHeldFixesTheWay(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		l := b.linkedAny()
		b.chunk(l, 2, []byte("12345"))
		for _, p := range []string{"12345", "other", "another", ""} {
			if got := b.sendWhole(l, chunkBody([]byte(p))); got != protocol.KindConflict {
				t.Errorf("%q whole: %q", p, got)
			}
		}
		b.held(l, 2)
		b.charged("of the chunk", 5)
		begun := b.linkedAny()
		p := random(1, 17<<20)
		body := chunkBody(p)
		body.Reader = bytes.NewReader(p[:16<<20])
		if got := b.sendWhole(begun, body); got != protocol.KindBadLength {
			t.Fatalf("one that breaks off: %q", got)
		}
		if got := b.sendChunk(begun, 1, chunkBody(p)); got != protocol.KindConflict {
			t.Errorf("a chunk after a part: %q", got)
		}
		if got := b.parts(begun.UID); len(got) != 1 {
			t.Errorf("%v is left of the part", got)
		}
		b.mustBeSound()
	})
}

// What is on its way when the link's file begins anew is not recorded in the
// other way, nor where it began anew twice.
func TestWhatIsOnItsWayIsNotRecordedOtherwise(t *testing.T) {
	five, other := []byte("12345"), []byte("other")
	eachStore(t, func(t *testing.T, b *bench) {
		refused := func(what string, got protocol.Kind, want ...protocol.Kind) {
			t.Helper()
			for _, k := range want {
				if got == k {
					return
				}
			}
			t.Errorf("%s: %q, want one of %q", what, got, want)
		}
		l := b.linkedAny()
		refused("a chunk while the file begins whole", b.sendChunk(l, 3, during(five, func() {
			refused("a wrong file meanwhile", b.sendWhole(l, wrong(other, func() { b.charged("while both come", 10) })), protocol.KindChecksumMismatch)
			b.charged("while the chunk comes, of which the file's blob has as much", 10)
		})), protocol.KindConflict)
		b.charged("after both", 0)
		refused("a chunk while it begins whole, and in chunks again", b.sendChunk(l, 3, during(five, func() {
			refused("a wrong file meanwhile", b.sendWhole(l, wrong(other, nil)), protocol.KindChecksumMismatch)
			b.chunk(l, 1, other)
		})), protocol.KindStoreUnavailable)
		b.held(l, 1)
		b.charged("of the chunk that is held", 5)
		b.chunk(l, 2, five)
		_, err := b.merge(l, 2, append(bytes.Clone(other), five...))
		must(t, err)
		b.reads(l.UID, append(bytes.Clone(other), five...))

		l = b.linkedAny()
		refused("a file while it begins in chunks", b.sendWhole(l, during(five, func() { b.chunk(l, 1, five) })), protocol.KindConflict)
		b.held(l, 1)
		b.charged("of the chunks", 15)
		l = b.linkedAny()
		refused("a file while it begins in chunks, and whole again", b.sendWhole(l, during(five, func() {
			refused("a wrong chunk meanwhile", b.sendChunk(l, 1, wrong(other, nil)), protocol.KindChecksumMismatch)
			if got := b.sendWhole(l, chunkBody(other)); got != "" {
				t.Errorf("another file meanwhile: %q", got)
			}
		})), protocol.KindCommitted)
		b.holds(l.UID, other)
		b.charged("of all", 20)
		b.mustBeSound()
	})
}

// A file that was to come whole takes back no chunk that came before its first
// part was looked at.
func TestAFileWholeTakesBackNoChunk(t *testing.T) {
	five := []byte("12345")
	eachStore(t, func(t *testing.T, b *bench) {
		for what, chunk := range map[string]string{"the same bytes": "12345", "others": "other"} {
			for name, body := range map[string]upload.Body{"right": chunkBody(five), "wrong": wrong(five, nil)} {
				chunks := b.linkedAny()
				whole := chunks
				var once sync.Once
				whole.Still = func(context.Context) error {
					once.Do(func() { b.chunk(chunks, 1, []byte(chunk)) })
					return nil
				}
				if got := b.sendWhole(whole, body); got != protocol.KindConflict {
					t.Errorf("%s, %s: %q", what, name, got)
				}
				b.held(chunks, 1)
			}
		}
		b.mustBeSound()
	})
}

// Of a file whole and a chunk at once one is taken, whatever was refused before.
func TestBothWaysAtOnce(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		for i := range 20 {
			l, p := b.linkedAny(), []byte("12345")
			if i%2 == 0 {
				b.sendChunk(l, 1, wrong(p, nil))
			}
			var whole, chunk protocol.Kind
			var wg sync.WaitGroup
			wg.Go(func() { whole = b.sendWhole(l, chunkBody(p)) })
			wg.Go(func() { chunk = b.sendChunk(l, 1, chunkBody(p)) })
			wg.Wait()
			switch {
			case whole == "" && (chunk == protocol.KindConflict || chunk == protocol.KindCommitted):
				b.holds(l.UID, p)
			case chunk == "" && whole == protocol.KindConflict:
				b.held(l, 1)
			default:
				t.Fatalf("whole: %q, the chunk: %q", whole, chunk)
			}
		}
		b.mustBeSound()
	})
}
