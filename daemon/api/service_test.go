package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/file"
	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/intake"
	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/link"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/daemon/migrate"
	"github.com/osproxy/osproxy/daemon/once"
	"github.com/osproxy/osproxy/daemon/stores"
	"github.com/osproxy/osproxy/daemon/token"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/daemon/webhook"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/local"
)

// ospd is the API over the real services, a local store and a database.
type ospd struct {
	*fixture
	blobs  string
	tokens *token.Service
	db     *meta.DB
}

func startOspd(t testing.TB) *ospd {
	t.Helper()
	return startOspdWith(t, meta.Quota{}, nil)
}

// startOspdWith starts an ospd where each owner has that quota, and that counts
// in metrics, nil for nowhere. Pages of the origins may use it.
func startOspdWith(t testing.TB, quota meta.Quota, metrics Metrics, origins ...string) *ospd {
	t.Helper()
	return startOspdAs(t, quota, func(c *Config) { c.Metrics, c.Origins = metrics, origins })
}

// startOspdAs starts an ospd whose configuration is changed.
func startOspdAs(t testing.TB, quota meta.Quota, change func(*Config)) *ospd {
	t.Helper()
	return startOspdOf(t, quota, func(*upload.Config) {}, change)
}

// startOspdOf starts an ospd whose write side is changed, too.
func startOspdOf(t testing.TB, quota meta.Quota, writes func(*upload.Config), change func(*Config)) *ospd {
	t.Helper()
	return startOspdOver(t, quota, func(b store.Backend) store.Backend { return b }, writes, change)
}

// startOspdOver starts an ospd over a store that is made of a local one.
func startOspdOver(t testing.TB, quota meta.Quota, over func(store.Backend) store.Backend, writes func(*upload.Config), change func(*Config)) *ospd {
	t.Helper()
	root := t.TempDir()
	db := metatest.OpenDB(t, meta.Config{Path: metaPath(filepath.Join(root, "blobs")), Logger: slog.New(slog.DiscardHandler), DefaultQuota: quota})
	closeLater(t, db)
	if inCluster(t) {
		p := startPairOn(t, db, root, over, writes, change)
		p.sender.nodes = &rota{addrs: []string{p.owner.addr, p.sender.addr}}
		return p.sender
	}
	return startOspdOn(t, db, root, "disk", over, writes, change)
}

// startOspdOn starts an ospd on a database, whose local store lies below root and
// has that name.
func startOspdOn(t testing.TB, db *meta.DB, root, disk string, over func(store.Backend) store.Backend, writes func(*upload.Config), change func(*Config)) *ospd {
	t.Helper()
	ctx, quiet := t.Context(), slog.New(slog.DiscardHandler)
	id, err := db.ServerID(ctx)
	if err != nil {
		t.Fatal(err)
	}
	backend, err := local.New(local.Config{Path: filepath.Join(root, "blobs")})
	if err != nil {
		t.Fatal(err)
	}
	st := store.New(disk, over(backend), store.Options{})
	closeLater(t, st)
	if err := errors.Join(st.Claim(ctx, id, false), db.RememberStore(ctx, disk)); err != nil {
		t.Fatal(err)
	}
	minter, err := meta.NewMinter(db, 0, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*store.Store{disk: st}
	files := file.New(file.Config{Meta: db, Stores: all, Logger: quiet, Verify: file.VerifyAlways})
	writing := upload.Config{Meta: db, Minter: minter, Store: st, Stores: all, BootID: "boot", Logger: quiet,
		Instant: meta.ScopeOwner, Sample: files.Sample}
	writes(&writing)
	uploads := upload.New(writing)
	closeLater(t, uploads)
	tokens := token.NewService(token.Config{Records: db})
	everywhere := webhook.Guard{AllowPrivate: true, AllowHTTP: true, AnyPort: true}
	sender := webhook.NewSender(webhook.SenderConfig{Guard: everywhere})
	t.Cleanup(sender.Close)
	hooks := webhook.New(webhook.Config{Meta: db, Sender: sender, Guard: everywhere, Logger: quiet})
	migrates := migrate.New(migrate.Config{Meta: db, Stores: map[string]*store.Store{disk: st, "other": st}, Logger: quiet,
		Instance: func(_ context.Context, name string) (string, bool, error) {
			_, node := holder.Split(name)
			return name, node != "" && name != disk, nil
		},
		Reach: func(ctx context.Context, st *store.Store) error { return stores.Reach(ctx, st, id) }})
	jobs := job.NewService(db, map[protocol.JobKind]job.Request{
		"nap": napping{files}.request, protocol.JobImport: importing,
		protocol.JobMigrate: func(ctx context.Context, _ job.Caller, args json.RawMessage) (meta.NewJob, error) {
			return migrates.Request(ctx, args)
		},
	}, once.NewKeys(db))
	described := stores.New(stores.Config{Meta: db, Stores: all, Types: map[string]string{disk: "local"}, Default: disk, Logger: quiet})
	cfg := Config{Stores: described, Nodes: someNodes{}, Manifests: intake.NewManifests(db), Uploads: uploads, Files: files, Jobs: jobs, Webhooks: hooks, Tokens: tokens,
		Links: link.New(link.Config{Records: db, Minter: minter})}
	change(&cfg)
	return &ospd{start(t, cfg, nil), filepath.Join(root, "blobs"), tokens, db}
}

// importing is an import that nobody does.
func importing(_ context.Context, caller job.Caller, _ json.RawMessage) (meta.NewJob, error) {
	return meta.NewJob{Kind: protocol.JobImport, Owner: caller.Owner}, nil
}

// napping is a kind of job that anybody can ask for, and nobody does. With
// {"about": X} it has a subject; with {"file": UID} it is about a file of the
// caller's.
type napping struct{ files *file.Service }

func (n napping) request(ctx context.Context, caller job.Caller, args json.RawMessage) (meta.NewJob, error) {
	var nap struct {
		About string        `json:"about"`
		File  *protocol.UID `json:"file"`
	}
	err := job.ParseArgs(args, &nap)
	if err == nil && nap.File != nil {
		_, err = n.files.File(ctx, caller.Owner, *nap.File)
	}
	return meta.NewJob{Kind: "nap", Owner: caller.Owner, Args: args, Subject: nap.About, Node: "n1"}, err
}

// metaPath is where the database is of an ospd whose blobs are there.
func metaPath(blobs string) string { return filepath.Join(filepath.Dir(blobs), "meta.db") }

func closeLater(t testing.TB, c io.Closer) {
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

// into decodes an answer of the given status.
func into[T any](t testing.TB, a answer, status int) (v T) {
	t.Helper()
	if a.StatusCode != status || a.err != nil {
		t.Fatalf("answered %s %s, %v; want %d", a.Status, a.body, a.err, status)
	}
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatalf("answered %s: %v", a.body, err)
	}
	return v
}

// begin begins an upload with the given JSON.
func (o *ospd) begin(body string) protocol.Upload {
	o.t.Helper()
	return into[protocol.Upload](o.t, o.do(http.MethodPost, "/v1/uploads", body, "Content-Type", "application/json"), http.StatusCreated)
}

func (o *ospd) put(uid protocol.UID, n int, part []byte, header ...string) answer {
	o.t.Helper()
	return o.do(http.MethodPut, fmt.Sprintf("/v1/uploads/%s/parts/%d", uid, n), string(part), header...)
}

// upload sends content in parts and commits it.
func (o *ospd) upload(name string, content []byte) protocol.File {
	o.t.Helper()
	u := o.begin(fmt.Sprintf(`{"name": %q, "size": %d}`, name, len(content)))
	for n, rest := 1, content; len(rest) > 0; n++ {
		part := rest[:min(len(rest), int(u.PartSize))]
		rest = rest[len(part):]
		got := into[protocol.Part](o.t, o.put(u.UID, n, part), http.StatusOK)
		if got.XXH3 != protocol.SumXXH3(part) || got.Length != int64(len(part)) {
			o.t.Fatalf("part %d is recorded as %+v", n, got)
		}
	}
	return into[protocol.File](o.t, o.do(http.MethodPost, "/v1/uploads/"+u.UID.String()+"/commit", ""), http.StatusOK)
}

// oneShot puts a small file.
func (o *ospd) oneShot(query string, content []byte, header ...string) answer {
	o.t.Helper()
	return o.do(http.MethodPost, "/v1/files?"+query, string(content), header...)
}

func contentPath(uid protocol.UID) string { return "/v1/files/" + uid.String() + "/content" }

// TestPutAndGet: every size that is next to a boundary comes back as it went.
func TestPutAndGet(t *testing.T) {
	o := startOspd(t)
	for _, size := range []int{0, 1, 2, 64<<10 + 1, 1 << 20, 4<<20 - 1, 4 << 20, 4<<20 + 1, 8<<20 - 1, 8 << 20, 8<<20 + 1, 17 << 20} {
		content := noise(size)
		f := o.upload("put and get", content)
		if f.Size != int64(size) || f.Digest == nil || f.ETag != `"`+f.Digest.String()+`"` {
			t.Errorf("%d bytes are the File %+v", size, f)
		}
		got := o.do(http.MethodGet, contentPath(f.UID), "")
		if got.StatusCode != http.StatusOK || got.err != nil || !bytes.Equal(got.body, content) || got.Header.Get("ETag") != f.ETag {
			t.Errorf("%d bytes come back as %s, %d bytes, %v", size, got.Status, len(got.body), got.err)
		}
		head := o.do(http.MethodHead, contentPath(f.UID), "")
		if head.StatusCode != http.StatusOK || head.ContentLength != int64(size) || len(head.body) != 0 {
			t.Errorf("HEAD of %d bytes: %s, %d", size, head.Status, head.ContentLength)
		}
		blocks := o.do(http.MethodGet, "/v1/files/"+f.UID.String()+"/blocks", "")
		if sum := sha256.Sum256(blocks.body); protocol.Digest(sum) != *f.Digest || blocks.Header.Get("ETag") == f.ETag {
			t.Errorf("the blocks of %d bytes are %d bytes, with ETag %s", size, len(blocks.body), blocks.Header.Get("ETag"))
		}
		if size > 10 {
			if a := o.do(http.MethodGet, contentPath(f.UID), "", "Range", "bytes=-7", "If-Range", f.ETag); a.StatusCode != http.StatusPartialContent || !bytes.Equal(a.body, content[size-7:]) {
				t.Errorf("the end of %d bytes: %s, %d bytes", size, a.Status, len(a.body))
			}
		}
		if size <= protocol.OneShotMax {
			f := into[protocol.File](t, o.oneShot("name=one", content), http.StatusCreated)
			if got := o.do(http.MethodGet, contentPath(f.UID), ""); !bytes.Equal(got.body, content) {
				t.Errorf("%d bytes in one request come back as %s, %d bytes", size, got.Status, len(got.body))
			}
		}
	}
}

// TestRangesOfAFile compares with slices of the content, across blocks, parts
// and several ranges at once.
func TestRangesOfAFile(t *testing.T) {
	o := startOspd(t)
	content := noise(9 << 20)
	f := o.upload("ranges", content)
	for _, r := range [][2]int{{0, 1}, {4<<20 - 1, 4<<20 + 1}, {8<<20 - 3, 8<<20 + 3}, {1, 9<<20 - 1}, {5 << 20, 9 << 20}} {
		a := o.do(http.MethodGet, contentPath(f.UID), "", "Range", fmt.Sprintf("bytes=%d-%d", r[0], r[1]-1))
		if a.StatusCode != http.StatusPartialContent || !bytes.Equal(a.body, content[r[0]:r[1]]) {
			t.Errorf("bytes %d to %d: %s, %d bytes, %v", r[0], r[1], a.Status, len(a.body), a.err)
		}
	}
	a := o.do(http.MethodGet, contentPath(f.UID), "", "Range", "bytes=0-9,4194300-4194309,-5")
	if a.StatusCode != http.StatusPartialContent || !bytes.Contains(a.body, content[:10]) || !bytes.Contains(a.body, content[4194300:4194310]) || !bytes.Contains(a.body, content[9<<20-5:]) {
		t.Errorf("three ranges: %s, %d bytes", a.Status, len(a.body))
	}
	o.do(http.MethodGet, contentPath(f.UID), "", "Range", "bytes=9437184-").problem(t, protocol.KindRange)
	o.do(http.MethodGet, contentPath(f.UID), "", "If-Match", `"x"`).problem(t, protocol.KindPreconditionFailed)
	if a := o.do(http.MethodGet, contentPath(f.UID), "", "If-None-Match", f.ETag); a.StatusCode != http.StatusNotModified || a.Header.Get("ETag") != f.ETag || a.Header.Get("Cache-Control") == "" {
		t.Errorf("a cache that has it is answered %s %v", a.Status, a.Header)
	}
}

// TestLifeOfAFile goes through what is done to a File after it exists.
func TestLifeOfAFile(t *testing.T) {
	o := startOspd(t)
	query := url.Values{"name": {"a dir/naïve \"page\".html"}, "meta.k": {"v"}, "expires_at": {"2999-01-01T00:00:00Z"}}
	a := o.oneShot(query.Encode(), []byte("<script>"), "Content-Type", "text/html; charset=utf-8")
	f := into[protocol.File](t, a, http.StatusCreated)
	path := "/v1/files/" + f.UID.String()
	if a.Header.Get("Location") != path || f.Meta["k"] != "v" || f.ExpiresAt == nil || f.MediaType == nil || f.Owner != protocol.OwnerLocal {
		t.Errorf("made %+v at %s", f, a.Header.Get("Location"))
	}
	content := o.do(http.MethodGet, path+"/content?disposition=inline", "")
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'",
		"Content-Disposition": `attachment; filename="na_ve _page_.html"; filename*=UTF-8''na%C3%AFve%20%22page%22.html`,
		"Referrer-Policy":     "no-referrer", "Cross-Origin-Resource-Policy": "same-site", "Cache-Control": "private, no-cache", "Accept-Ranges": "bytes",
	} {
		if got := content.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	patched := into[protocol.File](t, o.do(http.MethodPatch, path, `{"name": "b.png", "media_type": "image/png", "meta": {"k": null, "l": "w"}, "expires_at": null}`,
		"Content-Type", "application/merge-patch+json"), http.StatusOK)
	if patched.Name != "b.png" || patched.Meta["l"] != "w" || len(patched.Meta) != 1 || patched.ExpiresAt != nil || patched.ETag != f.ETag {
		t.Errorf("patched to %+v", patched)
	}
	if got := o.do(http.MethodGet, path+"/content?disposition=inline", "").Header.Get("Content-Disposition"); got != `inline; filename="b.png"` {
		t.Errorf("a picture is shown as %s", got)
	}
	if read := into[protocol.File](t, o.do(http.MethodGet, path, ""), http.StatusOK); read.Name != "b.png" {
		t.Errorf("read %+v", read)
	}
	into[protocol.File](t, o.oneShot("name=c", nil), http.StatusCreated)
	page := into[protocol.FileList](t, o.do(http.MethodGet, "/v1/files?limit=1", ""), http.StatusOK)
	if len(page.Files) != 1 || page.Files[0].Name != "c" || page.Next == nil {
		t.Fatalf("the first page is %+v", page)
	}
	page = into[protocol.FileList](t, o.do(http.MethodGet, "/v1/files?limit=1&cursor="+url.QueryEscape(*page.Next), ""), http.StatusOK)
	if len(page.Files) != 1 || page.Files[0].UID != f.UID || page.Next != nil {
		t.Errorf("the last page is %+v", page)
	}
	page = into[protocol.FileList](t, o.do(http.MethodGet, "/v1/files?prefix=b.&digest="+f.Digest.String(), ""), http.StatusOK)
	if len(page.Files) != 1 || page.Files[0].UID != f.UID {
		t.Errorf("found %+v", page)
	}
	if a := o.do(http.MethodDelete, path, ""); a.StatusCode != http.StatusNoContent || len(a.body) != 0 {
		t.Errorf("deleted with %s %s", a.Status, a.body)
	}
	for _, p := range []string{path, path + "/content", path + "/blocks"} {
		o.do(http.MethodGet, p, "").problem(t, protocol.KindNotFound)
	}
}

// TestLifeOfAnUpload begins, finds it again, lists, aborts and commits twice.
func TestLifeOfAnUpload(t *testing.T) {
	o := startOspd(t)
	content := noise(100)
	fingerprint, err := protocol.FingerprintReader(bytes.NewReader(content), 100)
	if err != nil {
		t.Fatal(err)
	}
	begin := fmt.Sprintf(`{"name": "a", "size": 100, "fingerprint": "%s", "resume": true}`, fingerprint)
	u := o.begin(begin)
	again := into[protocol.Upload](t, o.do(http.MethodPost, "/v1/uploads", begin), http.StatusOK)
	if again.UID != u.UID {
		t.Errorf("resumed %s, want %s", again.UID, u.UID)
	}
	list := into[protocol.UploadList](t, o.do(http.MethodGet, "/v1/uploads", ""), http.StatusOK)
	if len(list.Uploads) != 1 || list.Uploads[0].UID != u.UID {
		t.Errorf("listed %+v", list)
	}
	into[protocol.Part](t, o.put(u.UID, 1, content), http.StatusOK)
	if got := into[protocol.Upload](t, o.do(http.MethodGet, "/v1/uploads/"+u.UID.String(), ""), http.StatusOK); len(got.Parts) != 1 {
		t.Errorf("read %+v", got)
	}
	for i, repeated := range []string{"", "true", "true"} {
		a := o.do(http.MethodPost, "/v1/uploads/"+u.UID.String()+"/commit", "{}")
		if f := into[protocol.File](t, a, http.StatusOK); f.UID != u.UID || a.Header.Get(protocol.HeaderRepeated) != repeated {
			t.Errorf("commit %d answers %q and %+v", i, a.Header.Get(protocol.HeaderRepeated), f)
		}
	}
	gone := o.begin(`{"name": "b"}`)
	for _, want := range []int{http.StatusNoContent, http.StatusNotFound} {
		if a := o.do(http.MethodDelete, "/v1/uploads/"+gone.UID.String(), ""); a.StatusCode != want {
			t.Errorf("aborted with %s", a.Status)
		}
	}
}

// TestIdempotency: the same request under a key happens once and is answered
// the same, byte for byte, however many ask at once; another is refused.
func TestIdempotency(t *testing.T) {
	o := startOspd(t)
	for _, c := range []struct {
		path, body string
		others     [][2]string
	}{
		{"/v1/uploads", `{"name": "a"}`, [][2]string{{"/v1/uploads", `{"name": "b"}`}, {"/v1/files?name=a", `{"name": "a"}`}}},
		{"/v1/files?name=a", "content", [][2]string{{"/v1/files?name=b", "content"}, {"/v1/files?name=a", "contenu"}, {"/v1/uploads", `{"name": "a"}`}}},
	} {
		key := "key" + c.path
		answers := make([]string, 8)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() {
				a := o.do(http.MethodPost, c.path, c.body, "Idempotency-Key", key)
				answers[i] = a.Status + string(a.body)
			})
		}
		wg.Wait()
		for _, a := range answers {
			if a != answers[0] || !strings.HasPrefix(a, "201") {
				t.Errorf("%s was answered %s and %s", c.path, answers[0], a)
			}
		}
		for _, other := range c.others {
			o.do(http.MethodPost, other[0], other[1], "Idempotency-Key", key).problem(t, protocol.KindIdempotencyMismatch)
		}
		o.do(http.MethodPost, c.path, c.body, "Idempotency-Key", key, "Content-Type", "application/json").problem(t, protocol.KindIdempotencyMismatch)
		o.do(http.MethodPost, c.path, c.body, "Idempotency-Key", strings.Repeat("k", 129)).problem(t, protocol.KindBadRequest)
	}
}

// TestManyAtOnce: parts of many uploads in parallel, each read back while
// others are written.
func TestManyAtOnce(t *testing.T) {
	o := startOspd(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			content := noise(1<<20 + i)
			u := o.begin(fmt.Sprintf(`{"name": "n%d", "size": %d}`, i, len(content)))
			into[protocol.Part](t, o.put(u.UID, 1, content), http.StatusOK)
			into[protocol.File](t, o.do(http.MethodPost, "/v1/uploads/"+u.UID.String()+"/commit", ""), http.StatusOK)
			if a := o.do(http.MethodGet, contentPath(u.UID), ""); !bytes.Equal(a.body, content) {
				t.Errorf("file %d: %s, %d bytes, %v", i, a.Status, len(a.body), a.err)
			}
			small := noise(1000 + i)
			f := into[protocol.File](t, o.oneShot("name=small", small), http.StatusCreated)
			if a := o.do(http.MethodGet, contentPath(f.UID), ""); !bytes.Equal(a.body, small) {
				t.Errorf("small file %d: %s, %d bytes, %v", i, a.Status, len(a.body), a.err)
			}
		})
	}
	wg.Wait()
}
