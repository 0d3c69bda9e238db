package transfer

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

func TestVerify(t *testing.T) {
	for _, n := range []int{0, 1, protocol.BlockSize, 9*protocol.BlockSize + 3} {
		r := newRig(t)
		f := r.d.add("a.bin", random(n, uint64(n)))
		res, err := r.Verify(t.Context(), f.UID)
		if err != nil || !res.Verified || res.Outcome != Downloaded || res.SentBytes != int64(n) || res.Size != int64(n) || *res.Digest != *f.Digest {
			t.Errorf("%d bytes: %+v, %v", n, res, err)
		}
		holds(t, r.dir, nil)
		r.transfers(t, 0)
		if s := r.cfg.Progress.Snapshot(); s.Moved != int64(n) || s.ItemsDone != 1 {
			t.Errorf("%d bytes: progress %+v", n, s)
		}
	}
}

// answering replaces the body of the answers whose path ends in suffix.
func answering(r *rig, suffix string, change func(body []byte) []byte) {
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		if !strings.HasSuffix(q.URL.Path, suffix) {
			serve(w, q)
			return
		}
		rec := httptest.NewRecorder()
		serve(rec, q)
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(rec.Code)
		w.Write(change(rec.Body.Bytes()))
	})
}

func TestVerifyFindsDamage(t *testing.T) {
	flip := func(at int) func([]byte) []byte {
		return func(body []byte) []byte { body[min(at, len(body)-1)] ^= 1; return body }
	}
	for what, c := range map[string]struct {
		suffix string
		change func([]byte) []byte
		want   string
	}{
		"a bit of a block":          {"/content", flip(100), "came damaged 3 times"},
		"a bit of the digests":      {"/blocks", flip(33), "do not belong to the file's digest"},
		"a digest that is left out": {"/blocks", func(b []byte) []byte { return b[32:] }, "do not belong to the file's digest"},
	} {
		r := newRig(t)
		f := r.d.add("a.bin", random(2*protocol.BlockSize+5, 1))
		answering(r, c.suffix, c.change)
		res, err := r.Verify(t.Context(), f.UID)
		e := wantKind(t, err, protocol.KindIntegrity)
		if !strings.Contains(e.Message, c.want) || res.Verified || res.Outcome != Failed {
			t.Errorf("%s: %+v, %v", what, res, err)
		}
	}
	r := newRig(t)
	f := r.d.add("a.bin", random(protocol.BlockSize, 1))
	r.d.files[f.UID].file.Digest = nil
	_, err := r.Verify(t.Context(), f.UID)
	wantKind(t, err, protocol.KindDigestPending)
	_, err = r.Verify(t.Context(), 5)
	wantKind(t, err, protocol.KindNotFound)
}

// The first block that differs is named, whatever follows it.
func TestCompare(t *testing.T) {
	const b = protocol.BlockSize
	data := random(5*b+7, 1)
	changed := func(at ...int) []byte {
		other := append([]byte{}, data...)
		for _, i := range at {
			other[i] ^= 1
		}
		return other
	}
	for name, c := range map[string]struct {
		local []byte
		want  string // "" is the same
	}{
		"the same":             {data, ""},
		"first byte":           {changed(0), fmt.Sprintf("block 1 of 6, bytes 0 to %d,", b-1)},
		"last byte of a block": {changed(3*b - 1), fmt.Sprintf("block 3 of 6, bytes %d to %d,", 2*b, 3*b-1)},
		"many":                 {changed(4*b, 2*b, 5*b+6), fmt.Sprintf("block 3 of 6, bytes %d to %d,", 2*b, 3*b-1)},
		"last byte":            {changed(5*b + 6), fmt.Sprintf("block 6 of 6, bytes %d to %d, is the first that differs", 5*b, 5*b+6)},
		"shorter":              {data[:5*b+6], fmt.Sprintf("block 6 of 6, bytes %d to %d, is the first that differs, and ", 5*b, 5*b+6)},
		"much shorter":         {data[:b+1], "block 2 of 6, "},
		"empty":                {nil, "block 1 of 6, "},
		"longer":               {append(changed(), 0), fmt.Sprintf("it goes on after all %d bytes of it, for 1 more", 5*b+7)},
		"longer and other":     {append(changed(b), 0), "block 2 of 6, "},
	} {
		r := newRig(t)
		f := r.d.add("a.bin", data)
		path := filepath.Join(r.dir, "local")
		if err := os.WriteFile(path, c.local, 0o600); err != nil {
			t.Fatal(err)
		}
		res, err := r.Compare(t.Context(), f.UID, path)
		if res.Path != path || res.SentBytes != 0 || r.d.count("GET /v1/files/"+f.UID.String()+"/content") != 0 {
			t.Errorf("%s: %+v", name, res)
		}
		if c.want == "" {
			if err != nil || !res.Verified || res.Outcome != AlreadyComplete || res.ResumedBytes != int64(len(data)) {
				t.Errorf("%s: %+v, %v", name, res, err)
			}
			continue
		}
		e := wantKind(t, err, protocol.KindIntegrity)
		if !strings.Contains(e.Message, c.want) || res.Verified || res.Outcome != Failed {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
	}
}

func TestCompareOfAnEmptyFile(t *testing.T) {
	r := newRig(t)
	f := r.d.add("a.bin", nil)
	path, _ := r.write(t, "local", 0)
	if res, err := r.Compare(t.Context(), f.UID, path); err != nil || !res.Verified {
		t.Errorf("%+v, %v", res, err)
	}
	_, err := r.Compare(t.Context(), f.UID, filepath.Join(r.dir, "missing"))
	wantKind(t, err, protocol.KindLocalMissing)
	_, err = r.Compare(t.Context(), f.UID, r.dir)
	wantKind(t, err, protocol.KindUsage)
}
