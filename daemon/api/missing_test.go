package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/daemon/token"
	"github.com/osproxy/osproxy/protocol"
)

// named is a cluster whose other node did not do what it was asked for.
type named struct {
	Peers
	kind protocol.Kind
	at   string
}

// Do is Peers.
func (n named) Do(context.Context, *holder.Elsewhere, peer.Request) (*peer.Answer, error) {
	return nil, &protocol.Error{Kind: n.kind, Message: "it did not", Hint: "Try again.",
		Err: &peer.Missing{Peer: peer.Peer{Node: ownerNode, Address: n.at}, Err: errors.New("why")}}
}

// TestWhichNodeIsMissing is told to who runs the installation, with what can be done,
// and to nobody else: no caller learns where bytes lie.
func TestWhichNodeIsMissing(t *testing.T) {
	db := metatest.OpenDB(t, meta.Config{Path: filepath.Join(t.TempDir(), "meta.db"), Logger: slog.New(slog.DiscardHandler)})
	closeLater(t, db)
	tokens := token.NewService(token.Config{Records: db})
	secrets := map[bool]string{}
	for admin, scopes := range map[bool]protocol.Scopes{false: {protocol.ScopeFileRead, protocol.ScopeFileWrite}, true: protocol.AllScopes()} {
		made, err := tokens.Create(t.Context(), protocol.CreateToken{Owner: "ann", Scopes: scopes})
		if err != nil {
			t.Fatal(err)
		}
		secrets[admin] = made.Secret
	}
	elsewhere := endpoint{serve: func(*call) error { return &holder.Elsewhere{Node: ownerNode} }, handed: true}
	for at, way := range map[string]named{
		"10.0.0.2:9101":  {kind: protocol.KindOwnerDown, at: "10.0.0.2:9101"},
		"is not known":   {kind: protocol.KindOwnerDown},
		" 10.0.0.3:9101": {kind: protocol.KindUnavailable, at: "10.0.0.3:9101"},
	} {
		f := start(t, Config{Tokens: tokens, Peers: way}, map[protocol.RouteName]endpoint{protocol.RouteGetContent: elsewhere})
		for admin, secret := range secrets {
			as := *f
			as.token = secret
			p := as.do(http.MethodGet, "/v1/files/1/content", "").problem(t, way.kind)
			if p.Detail != "it did not" || p.Hint == nil || !strings.HasSuffix(*p.Hint, "Try again.") {
				t.Errorf("%+v", p)
				continue
			}
			told := strings.Contains(*p.Hint, string(ownerNode)) && strings.Contains(*p.Hint, at)
			if told != admin {
				t.Errorf("admin %t is told %q", admin, *p.Hint)
			}
			if what := strings.Contains(*p.Hint, "docs/cluster.md"); what != (admin && way.kind == protocol.KindOwnerDown) {
				t.Errorf("what to do: %q", *p.Hint)
			}
		}
	}
}
