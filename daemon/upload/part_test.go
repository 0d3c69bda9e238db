package upload_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store/mem"
	"github.com/osproxy/osproxy/store/storetest"
)

var errGone = errors.New("the client is gone")

// broken gives p and then err.
func broken(p []byte, err error) io.Reader {
	return io.MultiReader(bytes.NewReader(p), readerFunc(func([]byte) (int, error) { return 0, err }))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestPartRefuses(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		known := b.begin(protocol.BeginUpload{Size: ptr(int64(protocol.MinPartSize + 5))})
		unknown := b.begin(protocol.BeginUpload{})
		empty := b.begin(protocol.BeginUpload{Size: ptr(int64(0))})
		done := b.begin(protocol.BeginUpload{Size: ptr(int64(0))})
		b.commit(done, protocol.CommitUpload{})
		aborted := b.begin(protocol.BeginUpload{})
		must(t, b.Abort(t.Context(), owner, aborted))
		five := []byte("12345")
		plain := func(r io.Reader, n int64) upload.Body { return upload.Body{Reader: r, Length: n} }
		for name, c := range map[string]struct {
			uid   protocol.UID
			n     protocol.PartNumber
			body  upload.Body
			owner protocol.Owner
			want  protocol.Kind
		}{
			"part 0":               {known, 0, body(five), owner, protocol.KindBadPart},
			"beyond the last":      {known, 3, body(five), owner, protocol.KindBadPart},
			"of nothing":           {empty, 1, body(five), owner, protocol.KindBadPart},
			"beyond all":           {unknown, protocol.MaxParts + 1, body(five), owner, protocol.KindTooManyParts},
			"an inner one short":   {known, 1, body(five), owner, protocol.KindBadLength},
			"the last short":       {known, 2, body(five[:4]), owner, protocol.KindBadLength},
			"the last long":        {known, 2, body([]byte("123456")), owner, protocol.KindBadLength},
			"none of unknown":      {unknown, 1, body(nil), owner, protocol.KindBadLength},
			"too long of unknown":  {unknown, 1, plain(nil, protocol.MinPartSizeUnknown+1), owner, protocol.KindBadLength},
			"without a length":     {unknown, 1, plain(nil, -1), owner, protocol.KindBadLength},
			"a wrong XXH3":         {known, 2, upload.Body{Reader: bytes.NewReader(five), Length: 5, XXH3: &protocol.XXH3{}}, owner, protocol.KindChecksumMismatch},
			"a wrong SHA-256":      {known, 2, upload.Body{Reader: bytes.NewReader(five), Length: 5, SHA256: &[32]byte{}}, owner, protocol.KindChecksumMismatch},
			"a wrong MD5":          {known, 2, upload.Body{Reader: bytes.NewReader(five), Length: 5, MD5: &[16]byte{}}, owner, protocol.KindChecksumMismatch},
			"a body that ends":     {known, 2, plain(strings.NewReader("1234"), 5), owner, protocol.KindBadLength},
			"a body that is empty": {known, 2, plain(strings.NewReader(""), 5), owner, protocol.KindBadLength},
			"a body cut":           {known, 2, plain(broken(five[:4], io.ErrUnexpectedEOF), 5), owner, protocol.KindBadLength},
			"another's":            {known, 2, body(five), "another", protocol.KindNotFound},
			"unknown":              {1, 1, body(five), owner, protocol.KindNotFound},
			"committed":            {done, 1, body(five), owner, protocol.KindCommitted},
			"aborted":              {aborted, 1, body(five), owner, protocol.KindNotFound},
		} {
			_, err := b.PutPart(t.Context(), c.owner, c.uid, c.n, c.body)
			if got := protocol.KindOf(err); got != c.want {
				t.Errorf("%s: %q (%v), want %q", name, got, err, c.want)
			}
		}
		if _, err := b.PutPart(t.Context(), owner, known, 2, plain(broken(five[:2], errGone), 5)); !errors.Is(err, errGone) {
			t.Errorf("a body that fails: %v", err)
		}
		for _, uid := range []protocol.UID{known, unknown} {
			if got := b.parts(uid); len(got) != 0 {
				t.Errorf("%v is listed of refused parts", got)
			}
		}
		b.mustBeSound()
	})
}

// TestPartLonger: what comes after a part's length is not read into it.
func TestPartLonger(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		uid := b.begin(protocol.BeginUpload{Size: ptr(int64(3))})
		if _, err := b.PutPart(t.Context(), owner, uid, 1, upload.Body{Reader: strings.NewReader("abcdef"), Length: 3}); err != nil {
			t.Fatal(err)
		}
		b.commit(uid, protocol.CommitUpload{})
		b.holds(uid, []byte("abc"))
	})
}

// TestPartAnswer: the answer to a part is what is listed.
func TestPartAnswer(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		uid := b.begin(protocol.BeginUpload{})
		p := random(1, 1000)
		got, err := b.PutPart(t.Context(), owner, uid, 3, upload.Body{Reader: bytes.NewReader(p), Length: 1000, SHA256: ptr(sha256.Sum256(p))})
		must(t, err)
		want := protocol.Part{Number: 3, Offset: 2 * protocol.MinPartSizeUnknown, Length: 1000, XXH3: protocol.SumXXH3(p)}
		u, err := b.Upload(t.Context(), owner, uid)
		must(t, err)
		if got != want || len(u.Parts) != 1 || u.Parts[0] != want {
			t.Errorf("answered %+v, lists %+v, want %+v", got, u.Parts, want)
		}
		if again := b.put(uid, 3, p); again != want {
			t.Errorf("the same part again: %+v", again)
		}
	})
}

// TestFailedAgain: a failed request for a part that is recorded leaves it.
func TestFailedAgain(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		uid := b.begin(protocol.BeginUpload{Size: ptr(int64(700_000))})
		first, other := random(1, 700_000), random(2, 700_000)
		b.put(uid, 1, first)
		for name, bad := range map[string]upload.Body{
			"short":      {Reader: bytes.NewReader(other[:600_000]), Length: 700_000},
			"cut":        {Reader: broken(other[:600_000], errGone), Length: 700_000},
			"wrong hash": {Reader: bytes.NewReader(other), Length: 700_000, XXH3: ptr(protocol.SumXXH3(first))},
		} {
			if _, err := b.PutPart(t.Context(), owner, uid, 1, bad); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		b.mustBeSound()
		b.commit(uid, protocol.CommitUpload{})
		b.holds(uid, first)
		b.mustBeSound()
	})
}

// TestPartOfAGoneClient: a part that arrived whole is recorded although its
// sender no longer waits; one that did not leaves nothing.
func TestPartOfAGoneClient(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		uid := b.begin(protocol.BeginUpload{})
		for n, after := range []int64{0, 500_000, 700_000} {
			ctx, cancel := context.WithCancelCause(t.Context())
			p := random(1, 700_000)
			read := int64(0)
			r := readerFunc(func(buf []byte) (int, error) {
				if read == after && after < 700_000 {
					cancel(errGone)
					return 0, errGone
				}
				k := copy(buf, p[read:max(after, read)])
				read += int64(k)
				return k, nil
			})
			_, err := b.PutPart(ctx, owner, uid, protocol.PartNumber(n+1), upload.Body{Reader: r, Length: 700_000})
			cancel(nil)
			if whole := after == 700_000; (err == nil) != whole {
				t.Errorf("gone after %d bytes: %v", after, err)
			}
		}
		if got := b.parts(uid); len(got) != 1 || got[3] != 700_000 {
			t.Errorf("listed %v", got)
		}
		b.mustBeSound()
	})
}

// TestAbort: an upload that is given up is gone, one that is committed stays.
func TestAbort(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		uid := b.begin(protocol.BeginUpload{Size: ptr(int64(10))})
		b.put(uid, 1, random(1, 10))
		wants(t, b.Abort(t.Context(), "another", uid), protocol.KindNotFound)
		must(t, b.Abort(t.Context(), owner, uid))
		wants(t, b.Abort(t.Context(), owner, uid), protocol.KindNotFound)
		_, err := b.Upload(t.Context(), owner, uid)
		wants(t, err, protocol.KindNotFound)
		_, _, err = b.Commit(t.Context(), owner, uid, protocol.CommitUpload{})
		wants(t, err, protocol.KindNotFound)
		uid = b.begin(protocol.BeginUpload{Size: ptr(int64(0))})
		b.commit(uid, protocol.CommitUpload{})
		wants(t, b.Abort(t.Context(), owner, uid), protocol.KindCommitted)
		u, err := b.Upload(t.Context(), owner, uid)
		must(t, err)
		if u.State != protocol.UploadCommitted || u.File == nil || u.File.UID != uid {
			t.Errorf("a committed upload is %+v", u)
		}
		must(t, b.db.DeleteFile(t.Context(), owner, uid))
		_, err = b.Upload(t.Context(), owner, uid)
		wants(t, err, protocol.KindNotFound)
		b.mustBeSound()
	})
}

// TestPartOnAStoreThatFails: the part can be sent again, nothing of the failed
// one is listed, and its object, if there is one, has a row that is doomed.
func TestPartOnAStoreThatFails(t *testing.T) {
	for name, c := range smallFaults {
		faulty := storetest.NewFaulty(mem.New())
		b := newEnded(t, setup{backend: faulty})
		uid := b.begin(protocol.BeginUpload{Size: ptr(int64(700_000))})
		p := random(1, 700_000)
		faulty.Queue(storetest.OpPut, c.fault)
		if _, err := b.PutPart(t.Context(), owner, uid, 1, body(p)); protocol.KindOf(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
		if got := b.parts(uid); len(got) != 0 || b.states()[meta.BlobDoomed] != 1 || len(b.objects()) != c.left {
			t.Errorf("%s: listed %v, blobs %v, objects %v", name, got, b.states(), b.objects())
		}
		b.put(uid, 1, p)
		b.commit(uid, protocol.CommitUpload{})
		b.holds(uid, p)
		b.mustBeSound()
	}
}
