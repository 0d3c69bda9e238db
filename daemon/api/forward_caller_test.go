package api

import (
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/daemon/token"
	"github.com/osproxy/osproxy/protocol"
)

// TestCallersThroughAPeer: the owner serves who asked, with what he may do and no
// more.
func TestCallersThroughAPeer(t *testing.T) {
	db := metatest.OpenDB(t, meta.Config{Path: filepath.Join(t.TempDir(), "meta.db"), Logger: slog.New(slog.DiscardHandler)})
	closeLater(t, db)
	tokens := token.NewService(token.Config{Records: db})
	f, _ := startHanding(t, Config{Tokens: tokens}, map[protocol.RouteName]endpoint{protocol.RoutePutPart: {serve: func(c *call) error {
		c.writeJSON(http.StatusOK, []string{string(c.caller.Owner), c.caller.Scopes.String(), c.caller.TokenID})
		return nil
	}}})
	for _, scopes := range []protocol.Scopes{{protocol.ScopeFileWrite}, {protocol.ScopeFileRead, protocol.ScopeFileWrite}, protocol.AllScopes()} {
		made, err := tokens.Create(t.Context(), protocol.CreateToken{Owner: "ann", Scopes: scopes})
		if err != nil {
			t.Fatal(err)
		}
		ann := *f
		ann.token = made.Secret
		a := ann.do(http.MethodPut, "/v1/uploads/1/parts/1", "hello")
		if want := `["ann","` + scopes.String() + `","` + made.ID + `"]`; a.StatusCode != http.StatusOK || string(a.body) != want {
			t.Errorf("answered %s %s, want %s", a.Status, a.body, want)
		}
	}
}
