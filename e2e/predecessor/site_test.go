package predecessor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon"
	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/e2e/tap"
	"github.com/osproxy/osproxy/protocol"
)

// The owners with tokens. small may have little.
const (
	alice protocol.Owner = "alice"
	bob   protocol.Owner = "bob"
	small protocol.Owner = "small"
)

// smallBytes is how much small may have.
const smallBytes = 1000

// site is a daemon in this process. What it answered and logged is kept.
type site struct {
	dir string
	d   *daemon.Daemon
	// tap is in front of the daemon, and url its address.
	tap    *tap.Tap
	url    string
	tokens map[protocol.Owner]string
	log    text
	// answered are the headers and the JSON of all answers.
	answered text
	// untold are answers that are not as the OpenAPI document has them.
	untold text
	cancel context.CancelFunc
	ended  chan error
	// change is done to the configuration, nil for nothing.
	change func(*daemon.Config)
}

// startSite starts a daemon with a token for each owner, and everything it keeps
// in dir.
func startSite(dir string, change func(*daemon.Config)) (*site, error) {
	s := &site{dir: dir, tokens: map[protocol.Owner]string{}, change: change}
	if err := s.makeTokens(); err != nil {
		return nil, err
	}
	return s, s.start()
}

// config is of a daemon whose folder has a name that can be looked for.
func (s *site) config() daemon.Config {
	cfg := daemon.DefaultConfig()
	cfg.Listen, cfg.Data = "127.0.0.1:0", filepath.Join(s.dir, "data")
	most := int64(smallBytes)
	cfg.Quotas.Owners = map[string]daemon.Quota{string(small): {Bytes: &most}}
	if s.change != nil {
		s.change(&cfg)
	}
	return cfg
}

func (s *site) start() error {
	ctx := context.Background()
	d, err := daemon.New(ctx, s.config(), "test", slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		return err
	}
	s.tap, err = harness.Tap(d.URL(), func(err error) { fmt.Fprintln(&s.untold, err) })
	if err != nil {
		return errors.Join(err, d.Close())
	}
	s.d, s.url, s.ended = d, s.tap.URL(), make(chan error, 1)
	running, cancel := context.WithCancel(ctx)
	s.cancel = cancel
	go func() { s.ended <- d.Run(running) }()
	return nil
}

func (s *site) makeTokens() error {
	ctx := context.Background()
	tokens, err := daemon.OpenTokens(ctx, s.config(), true, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	for _, owner := range []protocol.Owner{alice, bob, small} {
		made, createErr := tokens.Create(ctx, protocol.CreateToken{Owner: owner, Scopes: protocol.AllScopes()})
		err = errors.Join(err, createErr)
		s.tokens[owner] = made.Secret
	}
	return errors.Join(err, tokens.Close())
}

// newSite is a daemon of the test's own.
func newSite(t *testing.T) *site {
	t.Helper()
	return newSiteWith(t, nil)
}

func newSiteWith(t *testing.T, change func(*daemon.Config)) *site {
	t.Helper()
	s, err := startSite(t.TempDir(), change)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// stop drains the daemon. What it answered otherwise than documented is an error.
func (s *site) stop() error {
	s.cancel()
	err := errors.Join(<-s.ended, s.tap.Close())
	if untold := s.untold.String(); untold != "" {
		err = errors.Join(err, errors.New(untold))
	}
	return err
}

// text is what was written to it, by many at once.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *text) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *text) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// caller is somebody who speaks to a site.
type caller struct {
	t             testing.TB
	s             *site
	api           *harness.API
	authorization string
}

// stranger has neither token nor link.
func (s *site) stranger(t testing.TB) caller {
	return caller{t: t, s: s, api: harness.NewAPI(t, s.url)}
}

// as is a caller with the owner's token.
func (s *site) as(t testing.TB, owner protocol.Owner) caller {
	c := s.stranger(t)
	c.authorization = "Bearer " + s.tokens[owner]
	return c
}

// with is who has a link to put, and nothing else.
func (c caller) with(l protocol.Link) caller {
	c.authorization = "Link " + l.Token
	return c
}

// do sends one request; header holds alternating names and values.
func (c caller) do(method, path string, body []byte, header ...string) harness.Answer {
	if c.authorization != "" {
		header = append(header, "Authorization", c.authorization)
	}
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
	}
	ans := c.api.Do(method, path, r, int64(len(body)), header...)
	for name, values := range ans.Header {
		fmt.Fprintf(&c.s.answered, "%s %s: %s: %s\n", method, path, name, strings.Join(values, ", "))
	}
	if strings.Contains(ans.Header.Get("Content-Type"), "json") {
		fmt.Fprintf(&c.s.answered, "%s %s: %s\n", method, path, ans.Body)
	}
	return ans
}

// get is a GET.
func (c caller) get(path string, header ...string) harness.Answer {
	return c.do(http.MethodGet, path, nil, header...)
}

// post sends v as JSON.
func (c caller) post(path string, v any) harness.Answer {
	c.t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		c.t.Fatal(err)
	}
	return c.do(http.MethodPost, path, body, "Content-Type", "application/json")
}

// want ends the test unless the answer is whole and has the status.
func (c caller) want(ans harness.Answer, status int) harness.Answer {
	c.t.Helper()
	if ans.Err != nil || ans.Status != status {
		c.t.Fatalf("answered %d, want %d; %v: %.400s", ans.Status, status, ans.Err, ans.Body)
	}
	return ans
}

// refused expects a problem of the kind, or of v0 what it makes of one, and goes
// on.
func (c caller) refused(ans harness.Answer, kind protocol.Kind) {
	c.t.Helper()
	if isV0(ans) {
		c.refusedV0(ans, statusV0(kind))
		return
	}
	if ans.Err != nil || ans.Code() != kind {
		c.t.Errorf("answered %d %.400s, %v; want %s", ans.Status, ans.Body, ans.Err, kind)
	}
}

// into decodes an answer of the given status.
func into[T any](c caller, ans harness.Answer, status int) (v T) {
	c.t.Helper()
	c.want(ans, status)
	if err := json.Unmarshal(ans.Body, &v); err != nil {
		c.t.Fatalf("answered %.400s: %v", ans.Body, err)
	}
	return v
}

// put puts a small file in one request.
func (c caller) put(name string, content []byte, header ...string) protocol.File {
	c.t.Helper()
	return into[protocol.File](c, c.do(http.MethodPost, "/v1/files?name="+url.QueryEscape(name), content, header...), http.StatusCreated)
}

func (c caller) begin(name string, size int) protocol.Upload {
	c.t.Helper()
	return into[protocol.Upload](c, c.post("/v1/uploads", map[string]any{"name": name, "size": size}), http.StatusCreated)
}

func (c caller) part(uid protocol.UID, n int, data []byte) harness.Answer {
	return c.do(http.MethodPut, fmt.Sprintf("/v1/uploads/%s/parts/%d", uid, n), data, protocol.HeaderXXH3, protocol.SumXXH3(data).String())
}

func (c caller) commit(uid protocol.UID) harness.Answer {
	return c.do(http.MethodPost, "/v1/uploads/"+uid.String()+"/commit", nil)
}

// putParts puts a file in parts.
func (c caller) putParts(name string, content []byte) protocol.File {
	c.t.Helper()
	u := c.begin(name, len(content))
	for n, off := 1, 0; off < len(content); n, off = n+1, off+int(u.PartSize) {
		c.want(c.part(u.UID, n, content[off:min(off+int(u.PartSize), len(content))]), http.StatusOK)
	}
	return into[protocol.File](c, c.commit(u.UID), http.StatusOK)
}

// link signs one link.
func (c caller) link(l protocol.NewLink) protocol.Link {
	c.t.Helper()
	list := into[protocol.LinkList](c, c.post("/v1/links", protocol.CreateLinks{Links: []protocol.NewLink{l}}), http.StatusOK)
	return list.Links[0]
}

func toGet(uid protocol.UID) protocol.NewLink {
	return protocol.NewLink{Action: protocol.LinkGet, UID: &uid}
}

func toPut(name string) protocol.NewLink {
	return protocol.NewLink{Action: protocol.LinkPut, Name: &name}
}

func contentOf(uid protocol.UID) string { return "/v1/files/" + uid.String() + "/content" }

// holds expects that the address gives exactly these bytes.
func (c caller) holds(path string, want []byte) {
	c.t.Helper()
	if ans := c.want(c.get(path), http.StatusOK); !bytes.Equal(ans.Body, want) {
		c.t.Errorf("%s gives %d bytes that are not the %d that were put", path, len(ans.Body), len(want))
	}
}

// flip changes one bit of the object that begins with the File's bytes.
func (s *site) flip(t *testing.T, f protocol.File, at int64) {
	t.Helper()
	s.damage(t, f, func(file *os.File) error {
		var b [1]byte
		_, readErr := file.ReadAt(b[:], at)
		b[0] ^= 1
		_, err := file.WriteAt(b[:], at)
		return errors.Join(readErr, err)
	})
}

// damage does something to the object of a File, which is the newest of its size.
func (s *site) damage(t *testing.T, f protocol.File, do func(*os.File) error) {
	t.Helper()
	var path string
	var newest time.Time
	for _, blob := range harness.Blobs(t, filepath.Join(s.dir, "data")) {
		if info, err := os.Stat(blob); err == nil && info.Size() == f.Size && info.ModTime().After(newest) {
			path, newest = blob, info.ModTime()
		}
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(do(file), file.Close()); err != nil {
		t.Fatal(err)
	}
}

// retireKeys ends all links that were signed by now, as ospd keys rotate --now
// does while the daemon is away.
func (s *site) retireKeys(t *testing.T) {
	t.Helper()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	tokens, err := daemon.OpenTokens(t.Context(), s.config(), false, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, err = tokens.RotateLinkKey(t.Context(), time.Now())
	if err := errors.Join(err, tokens.Close(), s.start()); err != nil {
		t.Fatal(err)
	}
}

// keys are those of all objects that there are now.
func (s *site) keys(t testing.TB) (keys []string) {
	t.Helper()
	for _, path := range harness.Blobs(t, filepath.Join(s.dir, "data")) {
		keys = append(keys, filepath.Base(path))
	}
	if len(keys) == 0 {
		t.Fatal("there are no objects")
	}
	return keys
}

// leaks are the places in all answers so far, in whichever test, that say where
// bytes lie.
func (s *site) leaks(t testing.TB) (found []string) {
	t.Helper()
	return s.told(append(s.keys(t), filepath.Base(s.dir), "blobs/", "meta.db")...)
}

// told are the places in all answers so far that hold one of the words.
func (s *site) told(words ...string) (found []string) {
	answered := s.answered.String()
	for _, word := range words {
		if at := strings.Index(answered, word); at >= 0 {
			found = append(found, fmt.Sprintf("told: %.300s", answered[max(0, at-200):]))
		}
	}
	return found
}
