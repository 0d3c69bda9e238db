package upload_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
)

// sending is a part request whose body comes as the test says.
type sending struct {
	*io.PipeWriter
	p    []byte
	done chan error
}

// send begins to send p as part n. It returns when the request has taken the
// first half; the second is sent by finish.
func (b *bench) send(uid protocol.UID, n protocol.PartNumber, p []byte) *sending {
	b.t.Helper()
	r, w := io.Pipe()
	s := &sending{PipeWriter: w, p: p, done: make(chan error, 1)}
	go func() {
		_, err := b.PutPart(b.t.Context(), owner, uid, n, upload.Body{Reader: r, Length: int64(len(p))})
		_ = r.CloseWithError(io.ErrClosedPipe)
		s.done <- err
	}()
	_, err := w.Write(p[:len(p)/2])
	must(b.t, err)
	return s
}

func (s *sending) finish() error {
	_, err := s.Write(s.p[len(s.p)/2:])
	return errors.Join(err, <-s.done)
}

func (s *sending) fail() error {
	_ = s.CloseWithError(errGone)
	return <-s.done
}

// TestSamePart: of eight senders of one part with other bytes each, the file
// is wholly one's.
func TestSamePart(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		const size = 600_000
		uid := b.begin(protocol.BeginUpload{Size: ptr(int64(size))})
		var senders []*sending
		var contents [][]byte
		for i := range int64(8) {
			contents = append(contents, random(i, size))
			senders = append(senders, b.send(uid, 1, contents[i]))
		}
		var wg sync.WaitGroup
		for _, s := range senders {
			wg.Go(func() {
				if err := s.finish(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		b.mustBeSound()
		b.commit(uid, protocol.CommitUpload{})
		got, _ := b.content(uid)
		for _, p := range contents {
			if bytes.Equal(got, p) {
				b.holds(uid, p)
				b.mustBeSound()
				return
			}
		}
		t.Error("the file is none of what was sent")
	})
}

// TestLastRecordedWins, in each order in which two senders can end.
func TestLastRecordedWins(t *testing.T) {
	const size = 600_000
	one, two := random(1, size), random(2, size)
	for name, c := range map[string]struct {
		end  func(t *testing.T, first, second *sending)
		want []byte
	}{
		"the first ends first":  {func(t *testing.T, first, second *sending) { must(t, first.finish()); must(t, second.finish()) }, two},
		"the first ends last":   {func(t *testing.T, first, second *sending) { must(t, second.finish()); must(t, first.finish()) }, one},
		"the first fails first": {func(t *testing.T, first, second *sending) { wantErr(t, first.fail()); must(t, second.finish()) }, two},
		"the first fails last":  {func(t *testing.T, first, second *sending) { must(t, second.finish()); wantErr(t, first.fail()) }, two},
		"the second fails":      {func(t *testing.T, first, second *sending) { must(t, first.finish()); wantErr(t, second.fail()) }, one},
	} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, b *bench) {
				uid := b.begin(protocol.BeginUpload{Size: ptr(int64(size))})
				first := b.send(uid, 1, one)
				c.end(t, first, b.send(uid, 1, two))
				b.commit(uid, protocol.CommitUpload{})
				b.holds(uid, c.want)
				b.mustBeSound()
			})
		})
	}
}

func wantErr(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, errGone) {
		t.Errorf("error %v, want that of the body", err)
	}
}

// TestCommitsAtOnce: one of eight is the transition, all get the same File.
func TestCommitsAtOnce(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		content := random(1, 600_000)
		uid := b.begin(protocol.BeginUpload{Size: ptr(int64(len(content)))})
		b.put(uid, 1, content)
		var mu sync.Mutex
		transitions, etags := 0, map[string]bool{}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				f, repeated, err := b.Commit(t.Context(), owner, uid, protocol.CommitUpload{})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				etags[f.ETag+f.CommittedAt.String()] = true
				if !repeated {
					transitions++
				}
			})
		}
		wg.Wait()
		if transitions != 1 || len(etags) != 1 {
			t.Errorf("%d transitions, answers %v", transitions, etags)
		}
		b.holds(uid, content)
	})
}

// TestStraggler: whoever still sends when the upload ends changes nothing.
func TestStraggler(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*bench, protocol.UID)
		want protocol.Kind
	}{
		"committed": {func(b *bench, uid protocol.UID) { b.commit(uid, protocol.CommitUpload{}) }, protocol.KindCommitted},
		"aborted":   {func(b *bench, uid protocol.UID) { must(b.t, b.Abort(b.t.Context(), owner, uid)) }, protocol.KindNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, b *bench) {
				const size = 600_000
				uid := b.begin(protocol.BeginUpload{Size: ptr(int64(size))})
				inPlace := b.send(uid, 1, random(1, size))
				b.put(uid, 1, random(2, size))
				own, ends, fails := b.send(uid, 1, random(3, size)), b.send(uid, 1, random(4, size)), b.send(uid, 1, random(5, size))
				wants(t, ends.finish(), "")
				c.end(b, uid)
				wants(t, inPlace.finish(), c.want)
				wants(t, own.finish(), c.want)
				wantErr(t, fails.fail())
				_, err := b.PutPart(t.Context(), owner, uid, 1, body(random(6, size)))
				wants(t, err, c.want)
				if c.want == protocol.KindCommitted {
					b.holds(uid, random(4, size))
				}
				b.mustBeSound()
			})
		})
	}
}

// TestCommitDuringReplacement: parts recorded while a commit syncs make it
// begin again, and what it publishes is what was recorded last before it.
func TestCommitDuringReplacement(t *testing.T) {
	const size = 600_000
	gate := newGate(t)
	b := newEnded(t, setup{backend: gate})
	uid := b.begin(protocol.BeginUpload{Size: ptr(int64(size))})
	b.put(uid, 1, random(1, size))
	gate.holdSyncs()
	done := make(chan error, 1)
	go func() {
		_, repeated, err := b.Commit(t.Context(), owner, uid, protocol.CommitUpload{PartsXXH3: ptr(protocol.PartsXXH3([]protocol.XXH3{protocol.SumXXH3(random(1, size))}))})
		if repeated {
			err = errors.New("a commit that failed is called repeated")
		}
		done <- err
	}()
	gate.waitSyncing(1)
	b.put(uid, 1, random(2, size))
	gate.releaseSyncs()
	wants(t, <-done, protocol.KindPartsDiffer)
	b.commit(uid, protocol.CommitUpload{})
	b.holds(uid, random(2, size))
	b.mustBeSound()
}

// TestListDuringCommit: an upload that is committed while it is looked at is
// shown as one or the other.
func TestListDuringCommit(t *testing.T) {
	b := newEnded(t, setup{})
	for range 30 {
		req := protocol.BeginUpload{Name: "a", Size: ptr(int64(3)), Fingerprint: &protocol.Fingerprint{}, Resume: true}
		uid := b.begin(req)
		b.put(uid, 1, []byte("abc"))
		b.clock.add(busyTime)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if u, err := b.Upload(t.Context(), owner, uid); err != nil || (u.File == nil) != (u.State == protocol.UploadOpen) {
					t.Errorf("%+v, %v", u, err)
				}
			})
			wg.Go(func() {
				if _, err := b.Begin(t.Context(), owner, req, nil); err != nil {
					t.Error(err)
				}
			})
		}
		b.commit(uid, protocol.CommitUpload{})
		wg.Wait()
	}
}

// TestCancelledRequests: a context that ends before anything is done leaves
// everything as it was.
func TestCancelledRequests(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		uid := b.begin(protocol.BeginUpload{Size: ptr(int64(3))})
		b.put(uid, 1, []byte("abc"))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err1 := b.PutPart(ctx, owner, uid, 1, body([]byte("def")))
		_, _, err2 := b.Commit(ctx, owner, uid, protocol.CommitUpload{})
		_, err3 := b.Begin(ctx, owner, protocol.BeginUpload{Name: "b"}, nil)
		_, err4 := b.PutFile(ctx, owner, upload.NewFile{Name: "b", Body: []byte("abc")}, nil)
		err5 := b.Abort(ctx, owner, uid)
		for i, err := range []error{err1, err2, err3, err4, err5} {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("call %d: %v", i, err)
			}
		}
		b.commit(uid, protocol.CommitUpload{})
		b.holds(uid, []byte("abc"))
		b.mustBeSound()
	})
}
