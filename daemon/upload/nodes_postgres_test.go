//go:build postgres

package upload_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/daemon/once"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
)

// nodes are write sides of several processes: each has a database handle and a
// wrapper of its own, and what is behind them is one database and one store that
// is shared.
func nodes(t *testing.T, n int, change func(*upload.Config)) (list []*bench) {
	t.Helper()
	backend := mem.New()
	first := newEnded(t, setup{backend: backend, change: change})
	list = append(list, first)
	for worker := 1; worker < n; worker++ {
		b := &bench{t: t, clock: first.clock, worker: worker, path: first.path, store: store.New("disk", backend, store.Options{Attempts: 1})}
		b.db = metatest.OpenDB(t, meta.Config{Path: first.path, Clock: first.clock.Now})
		b.Service = b.service(change)
		list = append(list, b)
		t.Cleanup(func() { must(t, b.end()) })
	}
	return list
}

// TestOnceOnSeveralNodes: the same request under one key, sent to several nodes at
// once, has one effect and one answer, also where its effect leaves no room for
// another.
func TestOnceOnSeveralNodes(t *testing.T) {
	all := nodes(t, 3, nil)
	for name, request := range map[string]func(*bench, *once.Request) (once.Reply, error){
		"begin": func(b *bench, o *once.Request) (once.Reply, error) {
			return b.Begin(context.Background(), "begins", protocol.BeginUpload{Name: "a", Size: ptr(int64(3))}, o)
		},
		"put": func(b *bench, o *once.Request) (once.Reply, error) {
			return b.PutFile(context.Background(), "puts", upload.NewFile{Name: "a", Body: []byte("abc")}, o)
		},
		"begin within a quota": func(b *bench, o *once.Request) (once.Reply, error) {
			return b.Begin(context.Background(), "limited", protocol.BeginUpload{Name: "a", Size: ptr(int64(3))}, o)
		},
		"put within a quota": func(b *bench, o *once.Request) (once.Reply, error) {
			return b.PutFile(context.Background(), "scarce", upload.NewFile{Name: "a", Body: []byte("abc")}, o)
		},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range 10 {
				for _, o := range []protocol.Owner{"limited", "scarce"} {
					must(t, all[0].db.SetQuota(t.Context(), o, meta.Quota{Files: ptr(int64(i + 1))}))
				}
				key := &once.Request{Key: fmt.Sprint("k", i), Sum: [32]byte{1}}
				replies, errs := make([]once.Reply, len(all)), make([]error, len(all))
				var wg sync.WaitGroup
				for n, b := range all {
					wg.Go(func() { replies[n], errs[n] = request(b, key) })
				}
				wg.Wait()
				for n := range all {
					must(t, errs[n])
					if string(replies[n].Body) != string(replies[0].Body) || replies[n].UID != replies[0].UID || !replies[n].Created {
						t.Errorf("node %d answers %s, node 0 %s", n, replies[n].Body, replies[0].Body)
					}
				}
			}
		})
	}
	for _, o := range []protocol.Owner{"begins", "puts", "limited", "scarce"} {
		u, err := all[0].db.Usage(t.Context(), o)
		must(t, err)
		if u.Files != 10 {
			t.Errorf("%s has %d files", o, u.Files)
		}
	}
	all[0].mustBeSound()
}

// TestResumeSeesOtherNodes: an upload to which a part is sent at one node, or was
// less than 5 s ago, is not given at another one to whoever resumes.
func TestResumeSeesOtherNodes(t *testing.T) {
	all := nodes(t, 2, func(c *upload.Config) { c.Shared = true })
	a, b := all[0], all[1]
	content := random(1, 10)
	req := protocol.BeginUpload{Name: "a", Size: ptr(int64(len(content))), Fingerprint: &protocol.Fingerprint{}, Resume: true}
	uid := a.begin(req)
	found := func() bool {
		t.Helper()
		r, err := b.Begin(t.Context(), owner, req, nil)
		must(t, err)
		if r.Created {
			must(t, b.Abort(t.Context(), owner, r.UID))
		}
		return !r.Created
	}
	if !found() {
		t.Error("an upload to which nothing was sent was not found")
	}
	a.clock.add(time.Second)
	r, w := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		_, err := a.PutPart(context.Background(), owner, uid, 1, upload.Body{Reader: r, Length: int64(len(content))})
		sent <- err
	}()
	_, err := w.Write(content[:1])
	must(t, err)
	if found() {
		t.Error("found while its first part came to another node")
	}
	a.clock.add(time.Hour)
	awaitTouched(t, a, uid)
	if found() {
		t.Error("found while a part came to another node for an hour")
	}
	_, err = w.Write(content[1:])
	must(t, errors.Join(err, <-sent))
	a.clock.add(busyTime - time.Second)
	if found() {
		t.Error("found 4 s after a part came to another node")
	}
	a.clock.add(time.Second)
	if !found() {
		t.Error("not found 5 s after the last part")
	}
}

// awaitTouched waits until the node has told that the upload is sent to now.
func awaitTouched(t *testing.T, b *bench, uid protocol.UID) {
	t.Helper()
	for {
		up, err := b.db.Upload(t.Context(), owner, uid)
		must(t, err)
		if up.TouchedAt.Equal(b.clock.Now()) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestQuotaOfPartsOnSeveralNodes: a part that fails at one node gives nothing back
// of what another node has the quota charged for, once its part is recorded.
func TestQuotaOfPartsOnSeveralNodes(t *testing.T) {
	all := nodes(t, 2, nil)
	a, b := all[0], all[1]
	must(t, a.db.SetQuota(t.Context(), owner, meta.Quota{Bytes: ptr(int64(3 * block))}))
	uid := a.beginBlocks(nil)
	content := random(1, 2*block)
	r, w := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		_, err := b.PutPart(context.Background(), owner, uid, 2, upload.Body{Reader: r, Length: block})
		sent <- err
	}()
	_, err := w.Write(content[:1])
	must(t, err)
	charged := func(what string, want int64) {
		t.Helper()
		u, err := a.db.Usage(t.Context(), owner)
		must(t, err)
		if u.Bytes != want {
			t.Errorf("%s: charged for %d bytes, want %d", what, u.Bytes, want)
		}
	}
	charged("while it comes", 2*block)
	_, err = a.PutPart(t.Context(), owner, uid, 1, upload.Body{Reader: bytes.NewReader(nil), Length: block})
	wants(t, err, protocol.KindBadLength)
	_, err = w.Write(content[1:block])
	must(t, errors.Join(err, <-sent))
	charged("once it is there", 2*block)
	other := a.beginBlocks(ptr(int64(block)))
	_, err = b.PutPart(t.Context(), owner, uid, 3, body(content[:block]))
	wants(t, err, protocol.KindQuotaExceeded)
	must(t, a.Abort(t.Context(), owner, other))
	must(t, a.Abort(t.Context(), owner, uid))
	charged("at the end", 0)
}
