package api

import (
	"strings"

	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/token"
	"github.com/osproxy/osproxy/protocol"
)

// access is who may use a route.
type access int

const (
	// nobody is what a route without a row in guards has.
	nobody access = iota
	// public: everybody, and nothing is done for an owner.
	public
	// byToken: who sends a token with the guard's scope. The request is its
	// owner's.
	byToken
	// byTokenOrAddress: who sends a token with the guard's scope, or calls from an
	// address that may without.
	byTokenOrAddress
	// bySignature: who has a signed link of v0 for the guard's action.
	bySignature
	// byLink: who has a Link for the guard's action. The request is the owner's
	// who signed it, for that one uid.
	byLink
)

// guard is what a route asks of its caller.
type guard struct {
	access access
	scope  protocol.Scope // of byToken
	// or is another scope that does as well, "" for none.
	or protocol.Scope
	// link is the action of a Link that lets in: the only way in of byLink, and a
	// second one of byToken, for its own uid alone. "" for none.
	link protocol.LinkAction
}

// guards is the one place that says who may do what.
func guards() map[protocol.RouteName]guard {
	everybody := guard{access: public}
	read := guard{access: byToken, scope: protocol.ScopeFileRead}
	write := guard{access: byToken, scope: protocol.ScopeFileWrite}
	remove := guard{access: byToken, scope: protocol.ScopeFileDelete}
	admin := guard{access: byToken, scope: protocol.ScopeAdmin}
	// An owner's jobs are about the owner's files; the others are an
	// administrator's, who need not be able to read files.
	seeJobs := guard{access: byToken, scope: protocol.ScopeFileRead, or: protocol.ScopeAdmin}
	changeJobs := guard{access: byToken, scope: protocol.ScopeFileWrite, or: protocol.ScopeAdmin}
	webhooks := guard{access: byToken, scope: protocol.ScopeWebhookManage, or: protocol.ScopeAdmin}
	links := guard{access: byToken, scope: protocol.ScopeLinkCreate}
	// A link puts one file: it begins the upload, looks at it, sends parts and
	// commits.
	put := guard{access: byToken, scope: protocol.ScopeFileWrite, link: protocol.LinkPut}
	return map[protocol.RouteName]guard{
		protocol.RouteCapabilities: everybody,
		protocol.RouteHealthz:      everybody,
		protocol.RouteReadyz:       everybody,
		protocol.RouteOpenAPI:      everybody,

		// An upload is its writer's until it is committed: who may begin one
		// may look at it and give it up.
		protocol.RouteBeginUpload: put,
		protocol.RouteProbe:       write,
		protocol.RouteListUploads: write,
		protocol.RouteGetUpload:   put,
		protocol.RouteAbortUpload: write,
		protocol.RoutePutPart:     put,
		protocol.RouteCommit:      put,
		protocol.RouteClaim:       write,

		protocol.RoutePutFile:     write,
		protocol.RouteListFiles:   read,
		protocol.RouteGetFile:     read,
		protocol.RoutePatchFile:   write,
		protocol.RouteDeleteFile:  remove,
		protocol.RouteGetContent:  read,
		protocol.RouteHeadContent: read,
		protocol.RouteGetBlocks:   read,

		protocol.RouteListTokens:  admin,
		protocol.RouteCreateToken: admin,
		protocol.RouteRevokeToken: admin,

		protocol.RouteListJobs:  seeJobs,
		protocol.RouteGetJob:    seeJobs,
		protocol.RouteCreateJob: changeJobs,
		protocol.RouteRetryJob:  changeJobs,
		protocol.RouteCancelJob: changeJobs,
		// Imports are the daemon's own jobs, which an administrator sees.
		protocol.RouteGetManifest: seeJobs,

		protocol.RouteListWebhooks:  webhooks,
		protocol.RouteCreateWebhook: webhooks,
		protocol.RouteGetWebhook:    webhooks,
		protocol.RouteRemoveWebhook: webhooks,
		protocol.RouteTestWebhook:   webhooks,
		protocol.RouteReplayWebhook: webhooks,

		protocol.RouteListStores: admin,
		protocol.RouteListNodes:  admin,
		protocol.RoutePatchNode:  admin,

		protocol.RouteCreateLinks: links,
		protocol.RouteRevokeLinks: links,
		protocol.RouteGetLink:     {access: byLink, link: protocol.LinkGet},
		protocol.RoutePutLink:     {access: byLink, link: protocol.LinkPut},
	}
}

// The reasons of Metrics.AuthFailed.
const (
	authMissing = "missing"
	authRefused = "refused"
	authScope   = "scope"
)

// authenticate finds out who calls and whether the route is theirs. Until then
// the call has no owner, and without one no service does anything.
func (c *call) authenticate() error {
	g := c.match.guard
	authorization := c.header("Authorization")
	switch text, isLink := credentials(authorization, protocol.SchemeLink); {
	case c.from != nil:
		return c.authenticatePeer()
	case g.access == public:
		return nil
	case c.v0:
		return c.authenticateV0(authorization)
	case g.access == byLink:
		return c.openLink(c.match.token, g.link)
	case g.link != "" && isLink:
		return c.openLink(text, g.link)
	}
	caller, err := c.srv.cfg.Tokens.Caller(c.ctx, authorization)
	if protocol.KindOf(err) == protocol.KindUnauthenticated {
		reason := authRefused
		if authorization == "" {
			reason = authMissing
		}
		c.srv.met.AuthFailed(reason)
		return withHeader("WWW-Authenticate", "Bearer", err)
	}
	if err != nil {
		return err
	}
	if g.access != byToken {
		return protocol.Errorf(protocol.KindForbidden, "nobody may use this route")
	}
	return c.enter(caller)
}

// enter lets in who has the scope that the route asks for.
func (c *call) enter(caller token.Caller) error {
	g := c.match.guard
	c.caller = caller
	if g.or != "" && caller.Scopes.Has(g.or) {
		return nil
	}
	if err := caller.Require(g.scope); err != nil {
		c.srv.met.AuthFailed(authScope)
		return err
	}
	return nil
}

// credentials are those of an Authorization of that scheme (RFC 9110 section
// 11.1: its name in any case).
func credentials(field, scheme string) (string, bool) {
	name, rest, ok := strings.Cut(field, " ")
	return strings.TrimLeft(rest, " "), ok && strings.EqualFold(name, scheme)
}

// openLink lets in who has the link, as its owner, for its uid.
func (c *call) openLink(text string, action protocol.LinkAction) error {
	g, err := c.srv.cfg.Links.Open(c.ctx, text, action)
	if err != nil {
		if protocol.KindOf(err) == protocol.KindForbidden {
			c.srv.met.AuthFailed(authRefused)
		}
		return err
	}
	c.caller, c.grant, c.linkText = token.Caller{Owner: g.Owner}, &g, text
	return nil
}

// reaching is who asks about jobs or webhooks: who runs the installation reaches
// every owner's.
func (c *call) reaching() job.Caller {
	return job.Caller{Owner: c.caller.Owner, All: c.caller.Scopes.Has(protocol.ScopeAdmin)}
}

// subject is who is held to a limit: the token, or the owner where there are
// no tokens.
func subject(c token.Caller) string {
	if c.TokenID != "" {
		return "token " + c.TokenID
	}
	return "owner " + string(c.Owner)
}
