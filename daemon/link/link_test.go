package link

import (
	"context"
	"encoding/base64"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(metatest.OnServer(m)) }

const alice protocol.Owner = "alice"

// world is an installation: a database, and two processes that sign by it.
type world struct {
	*testing.T
	clock    *metatest.Clock
	db       *meta.DB
	one, two *Service
	file     protocol.UID
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, clock: metatest.NewClock()}
	w.db = metatest.OpenDB(t, meta.Config{Path: filepath.Join(t.TempDir(), "meta.db"), Clock: w.clock.Now, Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() {
		if err := w.db.Close(); err != nil {
			t.Error(err)
		}
	})
	minter, err := meta.NewMinter(w.db, 0, w.clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	w.one = New(Config{Records: w.db, Minter: minter, Clock: w.clock.Now})
	w.two = New(Config{Records: w.db, Minter: minter, Clock: w.clock.Now})
	w.file = w.put(alice)
	return w
}

// put makes an empty File.
func (w *world) put(owner protocol.Owner) protocol.UID {
	w.Helper()
	uid, err := w.one.cfg.Minter.Next(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	digest := protocol.DigestOf(nil)
	_, err = w.db.PutFile(w.Context(), meta.NewFile{FileFields: meta.FileFields{Owner: owner, Name: "report.pdf"}, UID: uid, Digest: digest,
		Fingerprint: protocol.FingerprintOf(0, nil), ETag: `"x"`, CommittedAt: w.clock.Now()}, nil)
	if err != nil {
		w.Fatal(err)
	}
	return uid
}

// sign signs one link.
func (w *world) sign(l protocol.NewLink) Signed {
	w.Helper()
	signed, err := w.one.Sign(w.Context(), alice, []protocol.NewLink{l})
	if err != nil {
		w.Fatal(err)
	}
	return signed[0]
}

func (w *world) toGet() protocol.NewLink {
	return protocol.NewLink{Action: protocol.LinkGet, UID: &w.file}
}

func toPut(name string) protocol.NewLink {
	return protocol.NewLink{Action: protocol.LinkPut, Name: &name}
}

// good expects that both processes open the token.
func (w *world) good(token string, action protocol.LinkAction) (g Grant) {
	w.Helper()
	for _, s := range []*Service{w.one, w.two} {
		var err error
		if g, err = s.Open(w.Context(), token, action); err != nil {
			w.Fatal(err)
		}
	}
	return g
}

// bad expects that neither does.
func (w *world) bad(token string, action protocol.LinkAction, says string) {
	w.Helper()
	for _, s := range []*Service{w.one, w.two} {
		g, err := s.Open(w.Context(), token, action)
		if protocol.KindOf(err) != protocol.KindForbidden || !strings.Contains(err.Error(), says) || g != (Grant{}) {
			w.Errorf("got %+v, %v; want that it says %q", g, err, says)
		}
	}
}

// TestGrants: what is signed is what is opened, and all of it.
func TestGrants(t *testing.T) {
	w := newWorld(t)
	name, inline, media := "Bericht für März.pdf", "inline", "application/pdf"
	folders, size := "in/boxes/"+name, int64(0)
	from, until := protocol.TimeOf(w.clock.Now()), protocol.TimeOf(w.clock.Now().Add(time.Hour))
	for _, l := range []protocol.NewLink{
		w.toGet(), {Action: "get", UID: &w.file, Name: &name, Disposition: &inline, MediaType: &media, NotBefore: &from, ExpiresAt: &until},
		toPut(folders), {Action: "put", Name: &name, MediaType: &media, MaxSize: &size},
	} {
		s := w.sign(l)
		if got := w.good(s.Token, l.Action); got != s.Grant {
			t.Errorf("signed %+v, opened %+v", s.Grant, got)
		}
		if s.Grant.Owner != alice || s.Grant.UID == 0 || l.UID != nil && s.Grant.UID != w.file {
			t.Errorf("signed %+v", s.Grant)
		}
		if strings.Trim(s.Token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Errorf("token %s", s.Token)
		}
	}
	one, other := w.sign(toPut("a")).Grant.UID, w.sign(toPut("a")).Grant.UID
	if one == other {
		t.Error("two links put one file")
	}
}

// TestEveryByteCounts: no token with one bit changed is good, nor one that is
// shorter, longer, or spelled otherwise.
func TestEveryByteCounts(t *testing.T) {
	w := newWorld(t)
	token := w.sign(w.toGet()).Token
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		for bit := range 8 {
			b := append([]byte(nil), raw...)
			b[i] ^= 1 << bit
			w.bad(base64.RawURLEncoding.EncodeToString(b), protocol.LinkGet, "")
		}
		w.bad(base64.RawURLEncoding.EncodeToString(raw[:i]), protocol.LinkGet, "")
		w.bad(base64.RawURLEncoding.EncodeToString(raw[i+1:]), protocol.LinkGet, "")
	}
	for i := range token {
		for _, c := range "A_ \n=" {
			if changed := token[:i] + string(c) + token[i+1:]; changed != token {
				w.bad(changed, protocol.LinkGet, "")
			}
			w.bad(token[:i]+string(c)+token[i:], protocol.LinkGet, "")
		}
	}
	for _, text := range []string{"", "=", token + "=", token + "\n", token + token, strings.Repeat("A", maxToken+1), base64.StdEncoding.EncodeToString(raw) + "="} {
		w.bad(text, protocol.LinkGet, "")
	}
	w.good(token, protocol.LinkGet)
}

// TestOneAction: a link does what it says and nothing else.
func TestOneAction(t *testing.T) {
	w := newWorld(t)
	w.bad(w.sign(w.toGet()).Token, protocol.LinkPut, "another action: get")
	w.bad(w.sign(toPut("a")).Token, protocol.LinkGet, "another action: put")
}

// TestTimes: a link is good from its beginning until before its end.
func TestTimes(t *testing.T) {
	w := newWorld(t)
	ten, sixty := int64(10), protocol.TimeOf(w.clock.Now().Add(5*time.Second))
	l := w.toGet()
	l.ExpiresIn, l.NotBefore = &ten, &sixty
	token := w.sign(l).Token
	w.bad(token, protocol.LinkGet, "it begins at 2026-11-22T10:00:05.000Z")
	w.clock.Add(5*time.Second - 1)
	w.bad(token, protocol.LinkGet, "it begins")
	w.clock.Add(1)
	w.good(token, protocol.LinkGet)
	w.clock.Add(5*time.Second - 1)
	w.good(token, protocol.LinkGet)
	w.clock.Add(1)
	w.bad(token, protocol.LinkGet, "it ended at 2026-11-22T10:00:10.000Z")
}

// TestKeys: a new key signs at once, everywhere; what older ones signed is good
// until they end.
func TestKeys(t *testing.T) {
	w := newWorld(t)
	before := w.sign(w.toGet()).Token
	w.good(before, protocol.LinkGet)
	until := w.clock.Now().Add(10 * time.Minute)
	if _, err := w.db.RotateLinkKey(t.Context(), until); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(keysAge)
	after := w.sign(w.toGet()).Token
	w.good(after, protocol.LinkGet) // the other process reads the keys anew
	w.good(before, protocol.LinkGet)
	w.clock.Add(until.Sub(w.clock.Now()))
	w.bad(before, protocol.LinkGet, "its key was retired")
	w.clock.Add(-time.Minute)
	w.good(after, protocol.LinkGet)
	if _, err := w.db.RotateLinkKey(t.Context(), w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(keysAge)
	w.bad(after, protocol.LinkGet, "its key was retired")
}

// TestANewKeyIsKnownAtOnce: what one process signed by a key that was made a moment
// ago is good at another, which has just read the keys.
func TestANewKeyIsKnownAtOnce(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		w.good(w.sign(w.toGet()).Token, protocol.LinkGet)
		forged := w.sign(w.toGet()).Grant.encode(1<<40, [32]byte{})
		w.bad(forged, protocol.LinkGet, "was changed") // the keys were read for it just now
		if _, err := w.db.RotateLinkKey(t.Context(), w.clock.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		w.good(w.sign(w.toGet()).Token, protocol.LinkGet)
	}
}

// counting are records that count how often keys are read.
type counting struct {
	Records
	keys, revoked atomic.Int64
}

func (c *counting) LinkKeys(ctx context.Context) ([]meta.LinkKey, error) {
	c.keys.Add(1)
	return c.Records.LinkKeys(ctx)
}

func (c *counting) LinkRevoked(ctx context.Context, owner protocol.Owner, uid protocol.UID) (number, count int64, err error) {
	c.revoked.Add(1)
	return c.Records.LinkRevoked(ctx, owner, uid)
}

// TestForgeriesCostLittle: for a token that nobody signed nothing is looked up but
// the keys, once for all that come in a while.
func TestForgeriesCostLittle(t *testing.T) {
	w := newWorld(t)
	g := w.sign(w.toGet()).Grant
	c := &counting{Records: w.db}
	s := New(Config{Records: c, Clock: w.clock.Now})
	open := func(key int64) {
		if _, err := s.Open(t.Context(), g.encode(key+1, [32]byte{}), protocol.LinkGet); protocol.KindOf(err) != protocol.KindForbidden {
			t.Error(err)
		}
	}
	open(0)
	before, began := c.keys.Load(), time.Now()
	var opened sync.WaitGroup
	for key := range int64(1000) {
		opened.Go(func() { open(key) })
	}
	opened.Wait()
	if keys, most := c.keys.Load()-before, 2+int64(time.Since(began)/askEvery); keys > most || c.revoked.Load() != 0 {
		t.Errorf("keys were read %d times, want %d at most; revocations %d times", keys, most, c.revoked.Load())
	}
}

// TestRevocation: of one file, or of an owner; what is signed afterwards is good.
func TestRevocation(t *testing.T) {
	w := newWorld(t)
	other := w.put(alice)
	first, second := w.sign(w.toGet()).Token, w.sign(protocol.NewLink{Action: protocol.LinkGet, UID: &other}).Token
	put := w.sign(toPut("a"))
	if err := w.one.Revoke(t.Context(), "bob", 0); err != nil {
		t.Fatal(err)
	}
	w.good(first, protocol.LinkGet)
	for _, uid := range []protocol.UID{w.file, put.Grant.UID} {
		if err := w.one.Revoke(t.Context(), alice, uid); err != nil {
			t.Fatal(err)
		}
	}
	w.bad(first, protocol.LinkGet, "it was revoked")
	w.bad(put.Token, protocol.LinkPut, "it was revoked")
	w.good(second, protocol.LinkGet)
	again := w.sign(w.toGet()).Token
	w.good(again, protocol.LinkGet)
	if err := w.two.Revoke(t.Context(), alice, 0); err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{again, second} {
		w.bad(token, protocol.LinkGet, "it was revoked")
	}
	w.good(w.sign(w.toGet()).Token, protocol.LinkGet)
}

// TestBadLinks: each is refused with words about what is wrong, and none of its
// request is signed.
func TestBadLinks(t *testing.T) {
	w := newWorld(t)
	bobs := w.put("bob")
	now := w.clock.Now()
	text := func(s string) *string { return &s }
	number := func(n int64) *int64 { return &n }
	at := func(d time.Duration) *protocol.Time { t := protocol.TimeOf(now.Add(d)); return &t }
	with := func(change func(*protocol.NewLink)) protocol.NewLink {
		l := w.toGet()
		change(&l)
		return l
	}
	for says, l := range map[string]struct {
		link protocol.NewLink
		kind protocol.Kind
	}{
		"no action":                         {protocol.NewLink{UID: &w.file}, protocol.KindBadRequest},
		`no action "delete"`:                {with(func(l *protocol.NewLink) { l.Action = "delete" }), protocol.KindBadRequest},
		"needs a uid":                       {protocol.NewLink{Action: "get"}, protocol.KindBadRequest},
		"no file":                           {protocol.NewLink{Action: "get", UID: &bobs}, protocol.KindNotFound},
		"max_size is for":                   {with(func(l *protocol.NewLink) { l.MaxSize = number(1) }), protocol.KindBadRequest},
		"attachment or inline":              {with(func(l *protocol.NewLink) { l.Disposition = text("INLINE") }), protocol.KindBadRequest},
		"without folders":                   {with(func(l *protocol.NewLink) { l.Name = text("a/b") }), protocol.KindBadName},
		"not both":                          {with(func(l *protocol.NewLink) { l.ExpiresAt, l.ExpiresIn = at(time.Hour), number(1) }), protocol.KindBadRequest},
		"at most 168h0m0s":                  {with(func(l *protocol.NewLink) { l.ExpiresAt = at(7*24*time.Hour + time.Second) }), protocol.KindBadRequest},
		"expires_in is 4611686018427387904": {with(func(l *protocol.NewLink) { l.ExpiresIn = number(1 << 62) }), protocol.KindBadRequest},
		"expires_in is -1":                  {with(func(l *protocol.NewLink) { l.ExpiresIn = number(-1) }), protocol.KindBadRequest},
		"would have ended":                  {with(func(l *protocol.NewLink) { l.ExpiresAt = at(0) }), protocol.KindBadRequest},
		"would begin at":                    {with(func(l *protocol.NewLink) { l.NotBefore = at(time.Hour) }), protocol.KindBadRequest},
		"uid of its own":                    {protocol.NewLink{Action: "put", UID: &w.file, Name: text("a")}, protocol.KindBadRequest},
		"needs the name":                    {protocol.NewLink{Action: "put"}, protocol.KindBadName},
		"name is not allowed":               {toPut("../a"), protocol.KindBadName},
		"disposition is for":                {protocol.NewLink{Action: "put", Name: text("a"), Disposition: text("inline")}, protocol.KindBadRequest},
		"are more than the":                 {protocol.NewLink{Action: "put", Name: text("a"), MaxSize: number(protocol.MaxSize + 1)}, protocol.KindTooLarge},
		"not negative":                      {protocol.NewLink{Action: "put", Name: text("a"), MaxSize: number(-1)}, protocol.KindBadRequest},
		"media type":                        {protocol.NewLink{Action: "put", Name: text("a"), MediaType: text("x\r\ny")}, protocol.KindBadRequest},
	} {
		_, err := w.one.Sign(t.Context(), alice, []protocol.NewLink{w.toGet(), l.link})
		if protocol.KindOf(err) != l.kind || err == nil || !strings.Contains(err.Error(), "links[1]") || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v", says, err)
		}
	}
	for _, n := range []int{0, protocol.MaxLinks + 1} {
		if _, err := w.one.Sign(t.Context(), alice, make([]protocol.NewLink, n)); protocol.KindOf(err) != protocol.KindBadRequest {
			t.Errorf("%d links: %v", n, err)
		}
	}
}

// FuzzOpen: no text opens but one that was signed.
func FuzzOpen(f *testing.F) {
	secret := [32]byte{1}
	g := Grant{Action: protocol.LinkGet, Owner: alice, UID: 1, Expires: time.Unix(1e9, 0).UTC(), MaxSize: -1}
	f.Add(g.encode(1, secret))
	g.Action, g.Name, g.MediaType, g.MaxSize, g.NotBefore, g.Inline = protocol.LinkPut, "a/b", "text/plain", 5, time.Unix(9e8, 0).UTC(), true
	f.Add(g.encode(1<<40, secret))
	f.Fuzz(func(t *testing.T, text string) {
		s, ok := split(text)
		if !ok || !s.verify(secret) {
			return
		}
		g, ok := s.grant()
		if !ok || g.encode(s.key, secret) != text {
			t.Errorf("%q is a token, and of %+v comes another", text, g)
		}
	})
}
