package daemon_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/protocol"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// TestWhoMayBeReached: off loopback a daemon starts only where there are
// tokens, or where the operator says that the network keeps strangers out. A
// refused start makes nothing.
func TestWhoMayBeReached(t *testing.T) {
	cfg := daemon.DefaultConfig()
	cfg.Listen = "0.0.0.0:0"
	start := func(what string, cfg daemon.Config, want daemon.Stage) {
		t.Helper()
		d, err := daemon.New(t.Context(), cfg, "test", quiet())
		if err == nil {
			err = d.Close()
		}
		e, failed := errors.AsType[*daemon.Error](err)
		if failed != (want != "") || failed && e.Stage != want || !failed && err != nil {
			t.Errorf("%s: %v, want stage %q", what, err, want)
		}
	}
	cfg.Data = filepath.Join(t.TempDir(), "data")
	cfg = daemon.Located(t, cfg)
	start("nothing there yet", cfg, daemon.StageConfig)
	if _, err := os.Stat(cfg.Data); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a refused start left %s: %v", cfg.Data, err)
	}
	insecure := cfg
	insecure.Insecure = true
	start("on the operator's word", insecure, "")
	start("an installation without tokens", cfg, daemon.StageConfig)
	tokens, err := daemon.OpenTokens(t.Context(), cfg, true, quiet())
	if err != nil {
		t.Fatal(err)
	}
	made, err := tokens.Create(t.Context(), protocol.CreateToken{Owner: "a", Scopes: protocol.AllScopes()})
	if err == nil {
		err = errors.Join(tokens.Revoke(t.Context(), made.ID), tokens.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	start("an installation that had a token", cfg, "")
	cfg.Data = filepath.Join(t.TempDir(), "unused")
	cfg = daemon.Located(t, cfg)
	if tokens, err := daemon.OpenTokens(t.Context(), cfg, false, quiet()); err == nil {
		t.Error("tokens of no installation were opened", tokens.Close())
	}
}

// TestTokensLeaveAnOlderDatabase: the daemon that runs may be older than the
// program that makes a token, and could not go on with a newer schema.
func TestTokensLeaveAnOlderDatabase(t *testing.T) {
	cfg := daemon.DefaultConfig()
	cfg.Data = t.TempDir()
	cfg = daemon.Located(t, cfg)
	tokens, err := daemon.OpenTokens(t.Context(), cfg, true, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := tokens.Close(); err != nil {
		t.Fatal(err)
	}
	metatest.Behind(t, filepath.Join(cfg.Data, "meta.db"), `DELETE FROM goose_db_version WHERE version_id = (SELECT MAX(version_id) FROM goose_db_version)`)
	for _, create := range []bool{true, false} {
		tokens, err := daemon.OpenTokens(t.Context(), cfg, create, quiet())
		if err == nil {
			err = tokens.Close()
		}
		if e, ok := errors.AsType[*daemon.Error](err); !ok || e.Stage != daemon.StageDatabase || !strings.Contains(err.Error(), "start the new ospd first") {
			t.Errorf("create %v: %v", create, err)
		}
	}
}

// TestTokensOfMovedMetadata: tokens are made and revoked beside a daemon, and so
// beside who moves the metadata elsewhere. What would be lost is refused.
func TestTokensOfMovedMetadata(t *testing.T) {
	cfg := daemon.DefaultConfig()
	cfg.Data = t.TempDir()
	cfg = daemon.Located(t, cfg)
	tokens, err := daemon.OpenTokens(t.Context(), cfg, true, quiet())
	if err != nil {
		t.Fatal(err)
	}
	create := protocol.CreateToken{Owner: "a", Scopes: protocol.AllScopes()}
	made, err := tokens.Create(t.Context(), create)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cfg.Data, "meta.db")
	metatest.Behind(t, path, `INSERT INTO settings (name, value) VALUES ('moved', 'ab 0 ospd at db.example:5432')`)
	_, err = tokens.Create(t.Context(), create)
	for verb, err := range map[string]error{"create": err, "revoke": tokens.Revoke(t.Context(), made.ID)} {
		if protocol.KindOf(err) != protocol.KindConflict || !strings.Contains(err.Error(), "was moved to ospd at db.example:5432") {
			t.Errorf("%s: %v", verb, err)
		}
	}
	if list, err := tokens.List(t.Context(), ""); len(list.Tokens) != 1 || list.Tokens[0].RevokedAt != nil || err != nil {
		t.Errorf("there are %+v, %v", list, err)
	}
	metatest.Behind(t, path, `DELETE FROM settings WHERE name = 'moved'`)
	if err := errors.Join(tokens.Revoke(t.Context(), made.ID), tokens.Close()); err != nil {
		t.Error(err)
	}
}

// TestQuotaConfig: quotas come from the file and the environment, also of
// owners whose names have dots.
func TestQuotaConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ospd.yaml")
	load := func(text string, environ ...string) (daemon.Config, error) {
		t.Helper()
		if err := os.WriteFile(file, []byte("data: "+t.TempDir()+"\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		return daemon.LoadConfig(file, environ, nil)
	}
	cfg, err := load("quotas: {default: {bytes: 100, uploads: 2}, owners: {a.b@example.com: {files: 3}, carol: {bytes: 0}}}",
		"OSPD_QUOTAS__DEFAULT__FILES=7", "OSPD_QUOTAS__OWNERS__CI__UPLOADS=1", "OSPD_QUOTAS=x")
	if err != nil {
		t.Fatal(err)
	}
	is := func(got *int64, want int64) bool { return got != nil && *got == want }
	q := cfg.Quotas
	if !is(q.Default.Bytes, 100) || !is(q.Default.Uploads, 2) || !is(q.Default.Files, 7) || len(q.Owners) != 3 ||
		!is(q.Owners["a.b@example.com"].Files, 3) || q.Owners["a.b@example.com"].Bytes != nil || !is(q.Owners["carol"].Bytes, 0) || !is(q.Owners["ci"].Uploads, 1) {
		t.Errorf("read %+v", q)
	}
	for text, word := range map[string]string{
		"quotas: {default: {bytes: -1}}":        "negative",
		"quotas: {owners: {a: {files: -1}}}":    "quotas.owners.a.files",
		"quotas: {owners: {a b: {files: 1}}}":   "no name of an owner",
		"quotas: {default: {byts: 1}}":          "byts",
		"quotas: {owner: {a: {files: 1}}}":      "owner",
		"quotas: {default: {bytes: plenty}}":    "bytes",
		"quotas: {default: 5}":                  "quotas",
		"quotas: {owners: {a: {files: 1.5.2}}}": "files",
	} {
		if _, err := load(text); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestQuotasInForce: a running daemon holds owners to their quotas, and one
// that is started without them no longer does.
func TestQuotasInForce(t *testing.T) {
	one := int64(1)
	cfg := daemon.DefaultConfig()
	cfg.Listen, cfg.Data = "127.0.0.1:0", t.TempDir()
	cfg = daemon.Located(t, cfg)
	cfg.Quotas = daemon.QuotaConfig{Owners: map[string]daemon.Quota{"local": {Files: &one}}}
	for _, want := range [][]int{{http.StatusCreated, http.StatusRequestEntityTooLarge}, {http.StatusCreated, http.StatusCreated}} {
		d, err := daemon.New(t.Context(), cfg, "test", quiet())
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- d.Run(ctx) }()
		for _, status := range want {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.URL()+"/v1/files?name=a", strings.NewReader("a"))
			if err != nil {
				t.Fatal(err)
			}
			req.Close = true
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != status {
				t.Errorf("with the quotas %+v: %s %s", cfg.Quotas, resp.Status, body)
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		cfg.Quotas = daemon.QuotaConfig{}
	}
}
