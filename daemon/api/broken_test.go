package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// TestBrokenOffParts: a body that ends early is recorded nowhere, at whichever
// byte it ends, and the same part can be sent again.
func TestBrokenOffParts(t *testing.T) {
	o := startOspd(t)
	content := noise(300 << 10)
	u := o.begin(fmt.Sprintf(`{"name": "a", "size": %d}`, len(content)))
	for _, n := range []int{0, 1, 1000, 64 << 10, len(content) - 1} {
		p := o.dial().send("PUT /v1/uploads/" + u.UID.String() + "/parts/1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: " + strconv.Itoa(len(content)) + "\r\n\r\n" + string(content[:n]))
		if err := p.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		p.read(http.MethodPut).problem(t, protocol.KindBadLength)
		p.ended()
		if got := into[protocol.Upload](t, o.do(http.MethodGet, "/v1/uploads/"+u.UID.String(), ""), http.StatusOK); len(got.Parts) != 0 {
			t.Fatalf("after %d bytes the daemon holds %+v", n, got.Parts)
		}
		one := o.dial().send("POST /v1/files?name=broken HTTP/1.1\r\nHost: HOST\r\nContent-Length: " + strconv.Itoa(len(content)) + "\r\n\r\n" + string(content[:n]))
		if err := one.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		one.read(http.MethodPost).problem(t, protocol.KindBadLength)
	}
	if list := into[protocol.FileList](t, o.do(http.MethodGet, "/v1/files", ""), http.StatusOK); len(list.Files) != 0 {
		t.Errorf("broken bodies are files: %+v", list.Files)
	}
	sum := sha256.Sum256(content)
	into[protocol.Part](t, o.put(u.UID, 1, content, "Osp-Xxh3", protocol.SumXXH3(content).String(),
		"Content-Digest", "sha-512=:AAAA:, sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":"), http.StatusOK)
}

// TestDamage: damage in the first block of what is asked for is a status, and
// damage later cuts the answer. Neither ever ends cleanly.
func TestDamage(t *testing.T) {
	for name, c := range map[string]struct {
		at    int64
		early bool
	}{"first block": {100, true}, "last block": {9<<20 + 5, false}} {
		t.Run(name, func(t *testing.T) {
			o := startOspd(t)
			content := noise(10 << 20)
			f := o.upload("a", content)
			o.damage(int64(len(content)), func(path string) error { return flip(path, c.at) })
			a := o.do(http.MethodGet, contentPath(f.UID), "")
			if c.early {
				a.problem(t, protocol.KindContentCorrupt)
				return
			}
			if a.StatusCode != http.StatusOK || !errors.Is(a.err, io.ErrUnexpectedEOF) || !bytes.HasPrefix(content, a.body) {
				t.Errorf("answered %s and %d bytes, then %v", a.Status, len(a.body), a.err)
			}
		})
	}
	for name, c := range map[string]struct {
		harm func(path string) error
	}{
		"cut off": {func(path string) error { return os.Truncate(path, 100) }}, "gone": {os.Remove},
	} {
		t.Run(name, func(t *testing.T) {
			o := startOspd(t)
			f := o.upload("a", noise(5<<20))
			o.damage(5<<20, c.harm)
			if a := o.do(http.MethodGet, contentPath(f.UID), ""); a.StatusCode < 500 {
				t.Errorf("answered %s and %d bytes, then %v", a.Status, len(a.body), a.err)
			}
		})
	}
}

// damage does harm to the one object of that size.
func (o *ospd) damage(size int64, harm func(path string) error) {
	o.t.Helper()
	done := 0
	err := filepath.WalkDir(o.blobs, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if info, err := d.Info(); err != nil || info.Size() != size {
			return err
		}
		done++
		return harm(path)
	})
	if err != nil || done != 1 {
		o.t.Fatalf("did harm to %d objects, %v", done, err)
	}
}

func flip(path string, at int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		return err
	}
	b[0] ^= 1
	_, err = f.WriteAt(b[:], at)
	return err
}
