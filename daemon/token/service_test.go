package token

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(metatest.OnServer(m)) }

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func openDB(t *testing.T, path string, now func() time.Time) *meta.DB {
	t.Helper()
	db := metatest.OpenDB(t, meta.Config{Path: path, Clock: now, Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// installation is a database with a Service over it, and another one that does
// what another process does.
func installation(t *testing.T) (s, other *Service, c *clock) {
	t.Helper()
	c = &clock{t: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)}
	path := filepath.Join(t.TempDir(), "meta.db")
	return NewService(Config{Records: openDB(t, path, c.now), Clock: c.now}), NewService(Config{Records: openDB(t, path, c.now), Clock: c.now}), c
}

func create(t *testing.T, s *Service, c protocol.CreateToken) protocol.CreatedToken {
	t.Helper()
	made, err := s.Create(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func reader(owner protocol.Owner) protocol.CreateToken {
	return protocol.CreateToken{Owner: owner, Scopes: protocol.Scopes{protocol.ScopeFileRead}}
}

// mustBe checks whom a request with the token is from; "" for nobody.
func mustBe(t *testing.T, s *Service, authorization string, want protocol.Owner) Caller {
	t.Helper()
	c, err := s.Caller(t.Context(), authorization)
	if want == "" && (protocol.KindOf(err) != protocol.KindUnauthenticated || c.Owner != "" || c.Scopes != nil) || want != "" && (err != nil || c.Owner != want) {
		t.Errorf("%.20q… is of %+v, %v; want %q", authorization, c, err, want)
	}
	return c
}

// TestOpenUntilTheFirstToken: everybody is let in as local until a token was
// made, here or by another process, and never again, whatever becomes of it.
func TestOpenUntilTheFirstToken(t *testing.T) {
	s, other, _ := installation(t)
	everybody := mustBe(t, s, "", protocol.OwnerLocal)
	for _, scope := range protocol.AllScopes() {
		if err := everybody.Require(scope); err != nil {
			t.Error(err)
		}
	}
	mustBe(t, s, "Bearer whatever", protocol.OwnerLocal)
	made := create(t, other, reader("a"))
	// Who sends a token is asked for it at once, the others within 5 s.
	caller := mustBe(t, s, "Bearer "+made.Secret, "a")
	if caller.TokenID != made.ID || caller.Scopes.String() != "file:read" {
		t.Errorf("let in as %+v", caller)
	}
	mustBe(t, s, "", "")

	again, third, c2 := installation(t)
	mustBe(t, again, "", protocol.OwnerLocal)
	first := create(t, third, reader("a"))
	c2.add(maxAge)
	mustBe(t, again, "", "")
	if err := third.Revoke(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	for _, svc := range []*Service{again, third} {
		c2.add(maxAge)
		mustBe(t, svc, "", "")
		if open, err := svc.Open(t.Context()); open || err != nil {
			t.Errorf("open: %v, %v", open, err)
		}
	}
}

// TestHeader: the one form of the field, with the scheme in any case.
func TestHeader(t *testing.T) {
	s, _, _ := installation(t)
	text := create(t, s, reader("a")).Secret
	for field, want := range map[string]protocol.Owner{
		"Bearer " + text: "a", "bearer " + text: "a", "BEARER   " + text: "a",
		"": "", "Bearer": "", "Bearer ": "", text: "", "Basic " + text: "", "Bearer\t" + text: "", "Bearer " + text + ",": "", "Bearer " + text + " ": "",
		"Bearer \"" + text + "\"": "", "Bearer " + text + " " + text: "", "Bearer Bearer " + text: "", "Token " + text: "", "Link " + text: "",
	} {
		mustBe(t, s, field, want)
	}
}

// TestRefusedTokens: each of these is refused with the same words.
func TestRefusedTokens(t *testing.T) {
	s, _, c := installation(t)
	soon := protocol.TimeOf(c.now().Add(time.Minute))
	good := create(t, s, reader("a"))
	expiring := create(t, s, protocol.CreateToken{Owner: "a", Scopes: protocol.Scopes{protocol.ScopeAdmin}, ExpiresAt: &soon})
	revoked := create(t, s, reader("a"))
	mustBe(t, s, "Bearer "+expiring.Secret, "a")
	mustBe(t, s, "Bearer "+revoked.Secret, "a")
	if err := s.Revoke(t.Context(), revoked.ID); err != nil {
		t.Fatal(err)
	}
	c.add(time.Minute)
	mustBe(t, s, "Bearer "+good.Secret, "a")
	elsewhere, _, _ := installation(t)
	known, err := Parse(good.Secret)
	if err != nil {
		t.Fatal(err)
	}
	wrongSecret, otherID := known, known
	wrongSecret.secret[31] ^= 1
	otherID.ID = expiring.ID
	messages := map[string]bool{}
	for name, text := range map[string]string{
		"expired at this moment": expiring.Secret, "revoked": revoked.Secret, "of another installation": create(t, elsewhere, reader("a")).Secret,
		"unknown": New().Text(), "a wrong secret with its checksum": wrongSecret.Text(), "another token's id": otherID.Text(), "no token": "osp_x", "truncated": good.Secret[:65],
	} {
		_, err := s.Caller(t.Context(), "Bearer "+text)
		e, ok := errors.AsType[*protocol.Error](err)
		if !ok || e.Kind != protocol.KindUnauthenticated || strings.Contains(err.Error()+e.Hint, text) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		messages[e.Message+e.Hint] = true
	}
	if len(messages) != 1 {
		t.Errorf("the refusals differ: %v", messages)
	}
}

// TestOtherPepper: the same row, copied to an installation with another
// pepper, opens nothing there.
func TestOtherPepper(t *testing.T) {
	s, _, _ := installation(t)
	made := create(t, s, reader("a"))
	row, _, err := s.records.TokenByID(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, _, _ := installation(t)
	if err := elsewhere.records.CreateToken(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	mustBe(t, elsewhere, "Bearer "+made.Secret, "")
	mustBe(t, s, "Bearer "+made.Secret, "a")
}

// TestRevokedElsewhere: what another process revokes is refused 5 s later at
// the latest, however often the token is used, and also where the clock is set
// back meanwhile.
func TestRevokedElsewhere(t *testing.T) {
	for name, steps := range map[string][]time.Duration{
		"at once after 5 s": {maxAge}, "used each second": {time.Second, time.Second, time.Second, time.Second, time.Second}, "the clock goes back": {-time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			s, other, c := installation(t)
			made := create(t, other, reader("a"))
			mustBe(t, s, "Bearer "+made.Secret, "a")
			if err := other.Revoke(t.Context(), made.ID); err != nil {
				t.Fatal(err)
			}
			for i, d := range steps {
				c.add(d)
				if i+1 < len(steps) {
					_, _ = s.Caller(t.Context(), "Bearer "+made.Secret) // either is right until then
				}
			}
			mustBe(t, s, "Bearer "+made.Secret, "")
		})
	}
}

// TestNoTokensByWhoMayNot: that there was no token, or that one was good, is
// believed for 5 s. Who is let in by that makes no token, which would be good for
// ever; the refusal is known here from then on.
func TestNoTokensByWhoMayNot(t *testing.T) {
	s, other, _ := installation(t)
	root := protocol.CreateToken{Owner: "root", Scopes: protocol.AllScopes()}
	makes := func(want protocol.Kind, by Caller) {
		t.Helper()
		if _, err := s.CreateBy(t.Context(), by, root); protocol.KindOf(err) != want {
			t.Errorf("%+v: %v, want %q", by, err, want)
		}
	}
	anybody := mustBe(t, s, "", protocol.OwnerLocal)
	first := create(t, other, root)
	mustBe(t, s, "", protocol.OwnerLocal)
	makes(protocol.KindUnauthenticated, anybody)
	mustBe(t, s, "", "")
	by := mustBe(t, s, "Bearer "+first.Secret, "root")
	makes("", by)
	if err := other.Revoke(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	mustBe(t, s, "Bearer "+first.Secret, "root")
	makes(protocol.KindUnauthenticated, by)
	mustBe(t, s, "Bearer "+first.Secret, "")
	if made, is, err := s.CreateFirst(t.Context(), root); is || err != nil {
		t.Errorf("%+v is the first (%v)", made, err)
	}
	if list, err := s.List(t.Context(), ""); len(list.Tokens) != 2 || err != nil {
		t.Errorf("there are %d tokens (%v), made while one might", len(list.Tokens), err)
	}
	fresh, _, _ := installation(t)
	if made, is, err := fresh.CreateFirst(t.Context(), root); !is || made.Secret == "" || err != nil {
		t.Errorf("%+v is the first: %v (%v)", made, is, err)
	}
}

func TestRevokedHereAtOnce(t *testing.T) {
	s, _, _ := installation(t)
	made := create(t, s, reader("a"))
	mustBe(t, s, "Bearer "+made.Secret, "a")
	for range 2 {
		if err := s.Revoke(t.Context(), made.ID); err != nil {
			t.Fatal(err)
		}
		mustBe(t, s, "Bearer "+made.Secret, "")
	}
	for _, id := range []string{"", "x", "000000000000", made.Secret} {
		err := s.Revoke(t.Context(), id)
		if protocol.KindOf(err) != protocol.KindNotFound || strings.Contains(err.Error(), made.Secret) {
			t.Errorf("revoking %q: %v", id, err)
		}
	}
}

func TestRequire(t *testing.T) {
	c := Caller{Owner: "a", Scopes: protocol.Scopes{protocol.ScopeFileRead, protocol.ScopeAdmin}}
	for _, scope := range protocol.AllScopes() {
		want := protocol.KindForbidden
		if c.Scopes.Has(scope) {
			want = ""
		}
		if err := c.Require(scope); protocol.KindOf(err) != want {
			t.Errorf("%s: %v", scope, err)
		}
	}
	if err := (Caller{}).Require(""); protocol.KindOf(err) != protocol.KindForbidden {
		t.Errorf("a route without a scope: %v", err)
	}
}

func TestCreateRefuses(t *testing.T) {
	s, _, c := installation(t)
	now, past := protocol.TimeOf(c.now()), protocol.TimeOf(c.now().Add(-time.Hour))
	long := strings.Repeat("n", 256)
	for name, bad := range map[string]protocol.CreateToken{
		"no owner":         {Scopes: protocol.Scopes{protocol.ScopeAdmin}},
		"a bad owner":      {Owner: "a b", Scopes: protocol.Scopes{protocol.ScopeAdmin}},
		"no scopes":        {Owner: "a"},
		"an unknown scope": {Owner: "a", Scopes: protocol.Scopes{"file:all"}},
		"a long note":      {Owner: "a", Scopes: protocol.Scopes{protocol.ScopeAdmin}, Note: &long},
		"a past expiry":    {Owner: "a", Scopes: protocol.Scopes{protocol.ScopeAdmin}, ExpiresAt: &past},
		"expiring now":     {Owner: "a", Scopes: protocol.Scopes{protocol.ScopeAdmin}, ExpiresAt: &now},
	} {
		if made, err := s.Create(t.Context(), bad); protocol.KindOf(err) != protocol.KindBadRequest || made.Secret != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if open, err := s.Open(t.Context()); !open || err != nil {
		t.Errorf("refused tokens closed the daemon: %v, %v", open, err)
	}
}

// TestList: everything but the secret, in one order, and the time of use.
func TestList(t *testing.T) {
	s, _, c := installation(t)
	note := "the CI"
	end := protocol.TimeOf(c.now().Add(time.Hour))
	b := create(t, s, protocol.CreateToken{Owner: "b", Scopes: protocol.Scopes{protocol.ScopeAdmin, protocol.ScopeFileRead}, Note: &note, ExpiresAt: &end})
	a := create(t, s, reader("a"))
	c.add(time.Minute)
	mustBe(t, s, "Bearer "+b.Secret, "b")
	if err := s.Revoke(t.Context(), a.ID); err != nil {
		t.Fatal(err)
	}
	list, err := s.List(t.Context(), "")
	if err != nil || len(list.Tokens) != 2 || list.Tokens[0].ID != a.ID || list.Tokens[1].ID != b.ID {
		t.Fatalf("listed %+v, %v", list, err)
	}
	if got := list.Tokens[0]; got.RevokedAt == nil || got.UsedAt != nil || got.Note != nil {
		t.Errorf("the revoked one is %+v", got)
	}
	if got := list.Tokens[1]; got.UsedAt == nil || !got.UsedAt.Equal(c.now()) || got.Note == nil || *got.Note != note || got.ExpiresAt == nil || *got.ExpiresAt != end ||
		got.Scopes.String() != "file:read,admin" || got.RevokedAt != nil {
		t.Errorf("the used one is %+v", got)
	}
	if list, err = s.List(t.Context(), "b"); err != nil || len(list.Tokens) != 1 {
		t.Errorf("those of b are %+v, %v", list, err)
	}
}

// TestRefusedIsNotUsed: only who has the secret uses a token, and a guess just
// before does not hide the use.
func TestRefusedIsNotUsed(t *testing.T) {
	s, _, c := installation(t)
	made := create(t, s, reader("a"))
	guess, err := Parse(made.Secret)
	if err != nil {
		t.Fatal(err)
	}
	guess.secret[31] ^= 1
	used := func() *protocol.Time {
		t.Helper()
		list, err := s.List(t.Context(), "a")
		if err != nil || len(list.Tokens) != 1 {
			t.Fatalf("listed %+v, %v", list, err)
		}
		return list.Tokens[0].UsedAt
	}
	mustBe(t, s, "Bearer "+guess.Text(), "")
	if at := used(); at != nil {
		t.Errorf("a wrong secret was recorded as a use at %s", at)
	}
	mustBe(t, s, "Bearer "+made.Secret, "a")
	if at := used(); at == nil || !at.Equal(c.now()) {
		t.Errorf("used at %v, want %s", at, c.now())
	}
}

// failing are records that do not answer.
type failing struct {
	Records
	has error
	err error
}

func (f failing) HasTokens(context.Context) (bool, error)           { return f.has == nil, f.has }
func (f failing) TokenPepper(context.Context) (p [32]byte, _ error) { return p, f.err }

// TestNobodyIsLetInByFailure: where it cannot be found out, nobody is let in,
// and it is not the caller's token that is blamed.
func TestNobodyIsLetInByFailure(t *testing.T) {
	down := protocol.Errorf(protocol.KindUnavailable, "down")
	for name, s := range map[string]*Service{
		"whether there are tokens": NewService(Config{Records: failing{has: down}}),
		"the pepper":               NewService(Config{Records: failing{err: down}}),
	} {
		c, err := s.Caller(t.Context(), "Bearer "+New().Text())
		if protocol.KindOf(err) != protocol.KindUnavailable || c.Owner != "" {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
}

// forgetful are records in which nothing can be written.
type forgetful struct{ Records }

func (forgetful) TouchToken(context.Context, string) error { return errors.New("the disk is full") }

// TestUseIsNotHeldUpByTheDisk: reading goes on where nothing can be written.
func TestUseIsNotHeldUpByTheDisk(t *testing.T) {
	s, _, _ := installation(t)
	made := create(t, s, reader("a"))
	mustBe(t, NewService(Config{Records: forgetful{s.records}, Clock: s.now}), "Bearer "+made.Secret, "a")
}

// TestCacheIsBounded: no number of tokens makes it grow, and made-up ids are
// never remembered.
func TestCacheIsBounded(t *testing.T) {
	s, _, _ := installation(t)
	made := create(t, s, reader("a"))
	for i := range maxCached {
		s.cache[strings.Repeat("x", i)] = cached{}
	}
	mustBe(t, s, "Bearer "+made.Secret, "a")
	mustBe(t, s, "Bearer "+New().Text(), "")
	if len(s.cache) != 1 {
		t.Errorf("%d are remembered", len(s.cache))
	}
}

// TestManyAtOnce is for the race detector.
func TestManyAtOnce(t *testing.T) {
	s, other, _ := installation(t)
	made := create(t, other, reader("a"))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				mustBe(t, s, "Bearer "+made.Secret, "a")
				mustBe(t, s, "Bearer "+New().Text(), "")
			}
		})
	}
	wg.Wait()
}
