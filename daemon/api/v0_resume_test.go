package api

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
)

func md5Hex(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// startV0 is an ospd with a caller who has a token.
func startV0(t *testing.T) *ospd {
	t.Helper()
	o := startOspd(t)
	o.token = o.newToken("alice").Secret
	return o
}

// resume asks for files of the MD5s and paths, which alternate.
func (o *ospd) resume(wanted ...string) answer {
	o.t.Helper()
	list := []v0Wanted{}
	for i := 0; i+1 < len(wanted); i += 2 {
		list = append(list, v0Wanted{wanted[i], wanted[i+1]})
	}
	b, err := json.Marshal(map[string]any{"data": list})
	if err != nil {
		o.t.Fatal(err)
	}
	return o.do(http.MethodPost, v0Prefix+"/resume", string(b))
}

// resumed are the uids of such an answer.
func (o *ospd) resumed(wanted ...string) (uids []string) {
	o.t.Helper()
	for i, r := range v0Into[[]v0Resumed](o.t, o.resume(wanted...)) {
		if r.MD5 != wanted[2*i] {
			o.t.Errorf("answer %d is about %s", i, r.MD5)
		}
		uids = append(uids, r.UID)
	}
	return uids
}

// findOut is the digest job of the one file that is due, of that text.
func (o *ospd) findOut(text string) {
	o.t.Helper()
	due, err := o.db.DueDigests(o.t.Context(), 2)
	if err != nil || len(due) != 1 {
		o.t.Fatalf("%d files are due, %v", len(due), err)
	}
	found := meta.FoundOut{Content: due[0].Content, Findings: meta.Findings{MD5: md5.Sum([]byte(text))}}
	if err := o.db.RecordFindings(o.t.Context(), []meta.FoundOut{found}, due); err != nil {
		o.t.Fatal(err)
	}
}

// TestV0Resume: of what the caller's owner has each is a new file at once, as
// often as it is asked for, under the last part of its path; others' never.
func TestV0Resume(t *testing.T) {
	o := startV0(t)
	first := into[protocol.File](t, o.oneShot("name=first.txt", []byte("hello")), http.StatusCreated)
	o.findOut("hello")
	uids := o.resumed(md5Hex("hello"), "a/b.txt", md5Hex("unknown"), "c.txt", md5Hex("hello"), "a/b.txt", strings.ToUpper(md5Hex("hello")), `C:\x\日本 & # %.txt`, md5Hex("hello"), "e\u0301")
	if uids[1] != "" || slices.Contains([]string{uids[0], uids[2], uids[3], uids[4]}, "") || uids[0] == uids[2] {
		t.Fatalf("uids %q", uids)
	}
	for i, name := range map[int]string{0: "b.txt", 2: "b.txt", 3: "日本 & # %.txt", 4: "\u00e9"} {
		f := into[protocol.File](t, o.do(http.MethodGet, "/v1/files/"+uids[i], ""), http.StatusOK)
		if f.Name != name || f.UID == first.UID || *f.MD5 != md5Hex("hello") || string(o.do(http.MethodGet, contentPath(f.UID), "").body) != "hello" {
			t.Errorf("file %+v", f)
		}
	}
	bob := o.with(o.newToken("bob").Secret)
	if got := bob.resumed(md5Hex("hello"), "a.txt"); got[0] != "" {
		t.Errorf("another owner was given %s", got[0])
	}
	if got := v0Into[[]v0Resumed](t, o.resume()); got == nil || len(got) != 0 {
		t.Errorf("for nothing %v", got)
	}
}

// TestV0ResumeRefused: nothing is recorded of a request of which anything is
// wrong.
func TestV0ResumeRefused(t *testing.T) {
	o := startV0(t)
	o.oneShot("name=first.txt", []byte("hello"))
	o.findOut("hello")
	good := fmt.Sprintf(`{"md5": %q, "path": "good.txt"}`, md5Hex("hello"))
	for name, body := range map[string]string{
		"nothing": "", "no JSON": "data", "a list": "[" + good + "]", "no data": "{}", "data that is null": `{"data": null}`, "data that is a text": `{"data": "x"}`,
		"no MD5":             `{"data": [` + good + `, {"path": "a.txt"}]}`,
		"an MD5 of 31":       `{"data": [` + good + `, {"md5": "` + md5Hex("")[1:] + `", "path": "a.txt"}]}`,
		"an MD5 of 33":       `{"data": [` + good + `, {"md5": "0` + md5Hex("") + `", "path": "a.txt"}]}`,
		"an MD5 not in hex":  `{"data": [` + good + `, {"md5": "g` + md5Hex("")[1:] + `", "path": "a.txt"}]}`,
		"no path":            `{"data": [` + good + `, {"md5": "` + md5Hex("x") + `"}]}`,
		"a folder":           `{"data": [` + good + `, {"md5": "` + md5Hex("x") + `", "path": "a/"}]}`,
		"the folder above":   `{"data": [` + good + `, {"md5": "` + md5Hex("x") + `", "path": "a/.."}]}`,
		"a control":          `{"data": [` + good + `, {"md5": "` + md5Hex("x") + `", "path": "a\u0001.txt"}]}`,
		"too long a name":    `{"data": [` + good + `, {"md5": "` + md5Hex("x") + `", "path": "` + strings.Repeat("x", 256) + `"}]}`,
		"more than may be":   `{"data": [` + strings.Repeat(good+",", 50) + good + `]}`,
		"bytes, not a text":  "\xff",
		"a path of no bytes": `{"data": [` + good + `, {"md5": "` + md5Hex("x") + `", "path": ""}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			o.do(http.MethodPost, v0Prefix+"/resume", body).v0(t, http.StatusUnprocessableEntity)
		})
	}
	if files := into[protocol.FileList](t, o.do(http.MethodGet, "/v1/files", ""), http.StatusOK).Files; len(files) != 1 {
		t.Errorf("%d files", len(files))
	}
}

// TestV0ResumeNeeds a token that may write, or an address of v0_access.
func TestV0ResumeNeeds(t *testing.T) {
	o := startV0(t)
	body := fmt.Sprintf(`{"data": [{"md5": %q, "path": "a.txt"}]}`, md5Hex("x"))
	for name, secret := range map[string]string{
		"no token": "", "one that is none": "osp_x", "one that may read": o.newToken("alice", protocol.ScopeFileRead, protocol.ScopeLinkCreate).Secret,
	} {
		t.Run(name, func(t *testing.T) {
			o.with(secret).do(http.MethodPost, v0Prefix+"/resume", body, "X-Forwarded-For", "127.0.0.1").v0(t, http.StatusUnauthorized)
		})
	}
	o.with(o.newToken("alice", protocol.ScopeFileWrite).Secret).do(http.MethodPost, v0Prefix+"/resume", body).v0(t, http.StatusOK)
}

// digests are digest jobs that run when the test says so.
type digests struct{ asked, looked chan struct{} }

func (d *digests) Wake() {}

func (d *digests) Looked() <-chan struct{} {
	d.asked <- struct{}{}
	return d.looked
}

// TestV0ResumeAwaitsIdle: while a resume waits for digest jobs the server is idle
// for them.
func TestV0ResumeAwaitsIdle(t *testing.T) {
	d := &digests{make(chan struct{}, 100), make(chan struct{})}
	o := startOspdOf(t, meta.Quota{}, func(c *upload.Config) { c.Digests, c.TwinsWait = d, time.Hour }, func(*Config) {})
	o.token = o.newToken("alice").Secret
	o.oneShot("name=first.txt", []byte("hello"))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	answered := make(chan []string, 1)
	go func() { answered <- o.resumed(md5Hex("hello"), "a.txt") }()
	select {
	case <-d.asked:
	case <-ctx.Done():
		t.Fatal("nobody waits")
	}
	for o.Busy() && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	if o.Busy() {
		t.Error("the server is busy for a request that waits")
	}
	o.findOut("hello")
	close(d.looked)
	if got := <-answered; got[0] == "" {
		t.Error("what was found meanwhile is not known")
	}
}
