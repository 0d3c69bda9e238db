package transfer

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// onlyReads fails the test on any request that could change something, and the
// returned function on anything that changed in the folder of transfers.
func (r *rig) onlyReads(t *testing.T) (unchanged func()) {
	t.Helper()
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		if q.Method != http.MethodGet || strings.HasSuffix(q.URL.Path, "/content") {
			t.Errorf("%s %s was asked for", q.Method, q.URL.Path)
		}
		serve(w, q)
	})
	before := r.remembered(t)
	return func() {
		t.Helper()
		if after := r.remembered(t); after != before {
			t.Errorf("the folder of transfers holds\n%s\nand held\n%s", after, before)
		}
	}
}

// remembered is all that the folder of transfers holds.
func (r *rig) remembered(t *testing.T) string {
	t.Helper()
	entries, err := os.ReadDir(r.state.Dir())
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(r.state.Dir(), entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s: %s\n", entry.Name(), data)
	}
	return all.String()
}

// stoppedAt runs move until the request whose path has the suffix, and stops it
// there, once those before have come: none of them comes later than this returns.
func (r *rig) stoppedAt(t *testing.T, suffix string, before []string, move func(ctx context.Context) error) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var come sync.WaitGroup
	came := map[string]func(){}
	for _, path := range before {
		come.Add(1)
		came[path] = sync.OnceFunc(come.Done)
	}
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		if strings.HasSuffix(q.URL.Path, suffix) {
			come.Wait()
			stop()
			return
		}
		for path, first := range came {
			if strings.HasSuffix(q.URL.Path, path) {
				first()
			}
		}
		serve(w, q)
	})
	if move(ctx) == nil {
		t.Fatal("it was not stopped")
	}
	r.d.on(nil)
}

func TestWouldPut(t *testing.T) {
	r := newRig(t)
	path, data := r.write(t, "a.bin", 3*testPart)
	unchanged := r.onlyReads(t)
	res, err := r.WouldPut(t.Context(), PutRequest{Path: path})
	if err != nil || res.Would != Uploaded || res.Outcome != Skipped || res.Size != 3*testPart || res.Name != "a.bin" || res.UID != 0 {
		t.Errorf("new: %+v, %v", res, err)
	}
	unchanged()

	r.stoppedAt(t, "/parts/3", []string{"/parts/1", "/parts/2"}, func(ctx context.Context) error {
		_, err := r.Put(ctx, PutRequest{Path: path})
		return err
	})
	begun := r.transfers(t, 1)[0]
	unchanged = r.onlyReads(t)
	for name, c := range map[string]struct {
		prepare func() error
		would   Outcome
		uid     protocol.UID
	}{
		"begun":      {func() error { return nil }, Resumed, begun.UID},
		"outgrown":   {func() error { return os.WriteFile(path, append(data, 0), 0o600) }, Restarted, 0},
		"other file": {func() error { return os.WriteFile(path, random(len(data), 9), 0o600) }, Resumed, begun.UID},
	} {
		if err := c.prepare(); err != nil {
			t.Fatal(err)
		}
		// Each run of osp is an Engine of its own.
		res, err := r.engine(t).WouldPut(t.Context(), PutRequest{Path: path})
		if err != nil || res.Would != c.would || res.UID != c.uid || res.Transfer != begun.ID || res.SentBytes != 0 {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	delete(r.d.uploads, begun.UID)
	if res, err := r.engine(t).WouldPut(t.Context(), PutRequest{Path: path}); err != nil || res.Would != Restarted {
		t.Errorf("abandoned: %+v, %v", res, err)
	}
	unchanged()
}

func TestWouldPutFailsAsPutDoes(t *testing.T) {
	r := newRig(t)
	path, _ := r.write(t, "a.bin", 100)
	defer r.onlyReads(t)()
	r.d.caps.MaxSize = 99
	for name, c := range map[string]struct {
		req  PutRequest
		kind protocol.Kind
	}{
		"missing":   {PutRequest{Path: filepath.Join(r.dir, "missing")}, protocol.KindLocalMissing},
		"folder":    {PutRequest{Path: r.dir}, protocol.KindUsage},
		"bad name":  {PutRequest{Path: path, Name: "a//b"}, protocol.KindBadName},
		"too large": {PutRequest{Path: path}, protocol.KindTooLarge},
	} {
		res, err := r.WouldPut(t.Context(), c.req)
		if protocol.KindOf(err) != c.kind || res.Outcome != Failed || res.Would != "" {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
	}
	if _, err := r.WouldPutStream(t.Context(), PutRequest{Path: "-", Name: "../a"}); protocol.KindOf(err) != protocol.KindBadName {
		t.Errorf("stream: %v", err)
	}
	if res, err := r.WouldPutStream(t.Context(), PutRequest{Path: "-", Name: "a"}); err != nil || res.Would != Uploaded {
		t.Errorf("stream: %+v, %v", res, err)
	}
}

func TestWouldGet(t *testing.T) {
	r := newRig(t)
	data := random(3*protocol.BlockSize, 1)
	f := r.d.add("some/a.bin", data)
	target := filepath.Join(r.dir, "a.bin")
	for name, c := range map[string]struct {
		there []byte // nil: nothing
		do    IfExists
		sum   string
		would Outcome
		kind  protocol.Kind
	}{
		"new":               {nil, "", "", Downloaded, ""},
		"complete":          {data, "", "", AlreadyComplete, ""},
		"complete, its sum": {data, "", sha256Of(data), AlreadyComplete, ""},
		"complete, a sum":   {data, "", sha256Of(nil), "", protocol.KindIntegrity},
		"in the way":        {data[1:], ExistsFail, "", "", protocol.KindLocalExists},
		"to be left":        {data[1:], ExistsSkip, "", Skipped, ""},
		"to be replaced":    {data[1:], ExistsOverwrite, "", Downloaded, ""},
	} {
		os.Remove(target)
		if c.there != nil {
			if err := os.WriteFile(target, c.there, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		unchanged := r.onlyReads(t)
		res, err := r.WouldGet(t.Context(), GetRequest{UID: f.UID, Path: r.dir, IfExists: c.do, SHA256: c.sum})
		unchanged()
		if protocol.KindOf(err) != c.kind || res.Would != c.would || err == nil && (res.Outcome != Skipped || res.ResumedBytes != 0) {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
		if err == nil && (res.Path != target || res.Size != f.Size) {
			t.Errorf("%s: %+v", name, res)
		}
		if got, _ := os.ReadFile(target); !bytes.Equal(got, c.there) {
			t.Errorf("%s: the target changed", name)
		}
	}
	os.Remove(target)
	r.stoppedAt(t, "/content", nil, func(ctx context.Context) error {
		_, err := r.Get(ctx, GetRequest{UID: f.UID, Path: target})
		return err
	})
	begun := r.transfers(t, 1)[0]
	unchanged := r.onlyReads(t)
	res, err := r.engine(t).WouldGet(t.Context(), GetRequest{UID: f.UID, Path: target})
	if err != nil || res.Would != Resumed || res.Transfer != begun.ID {
		t.Errorf("begun: %+v, %v", res, err)
	}
	unchanged()

	r.d.files[f.UID].file.Digest = nil
	_, err = r.WouldGet(t.Context(), GetRequest{UID: f.UID, Path: filepath.Join(r.dir, "b")})
	wantKind(t, err, protocol.KindDigestPending)
	_, err = r.WouldCat(t.Context(), CatRequest{UID: f.UID})
	wantKind(t, err, protocol.KindDigestPending)
	for _, err := range []error{
		second(r.WouldGet(t.Context(), GetRequest{UID: f.UID, Path: filepath.Join(r.dir, "b"), NoVerify: true})),
		second(r.WouldCat(t.Context(), CatRequest{UID: f.UID, NoVerify: true})),
		second(r.WouldRemove(t.Context(), f.UID)),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	_, err = r.WouldRemove(t.Context(), 5)
	wantKind(t, err, protocol.KindNotFound)
}

func second(_ Result, err error) error { return err }
