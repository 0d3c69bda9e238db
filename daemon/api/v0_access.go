package api

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/osproxy/osproxy/daemon/link"
	"github.com/osproxy/osproxy/daemon/token"
	"github.com/osproxy/osproxy/protocol"
)

// V0Access lets callers without a token use the routes of v0 that are not
// signed, by the address of their connection: clients of v0 know no tokens. The
// zero value lets nobody.
type V0Access struct {
	// Owner is whom such callers are.
	Owner protocol.Owner
	From  []netip.Prefix
}

// has reports whether addr is one of those. What a proxy says of who asked it is
// not looked at: anybody can say it.
func (a V0Access) has(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || a.Owner == "" {
		return false
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	for _, p := range a.From {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// authenticateV0 reads the query, which may hold the right to the request, and
// lets in who has one.
func (c *call) authenticateV0(authorization string) (err error) {
	if c.query, err = parseV0Query(c.rawURL.query, c.match.endpoint.query); err != nil {
		return err
	}
	switch g := c.match.guard; g.access {
	case bySignature:
		return c.openSigned(g.link)
	case byTokenOrAddress:
		return c.openUnsigned(authorization)
	}
	return protocol.Errorf(protocol.KindForbidden, "nobody may use this route")
}

// openUnsigned lets in who sends a token with the guard's scope, or calls from
// an address of V0Access. A daemon without tokens is open for v1 alone: v0's
// clients are other people's programs.
func (c *call) openUnsigned(authorization string) error {
	access := c.srv.cfg.V0
	if authorization == "" && access.has(c.http.RemoteAddr()) {
		if err := c.notFromAPage(); err != nil {
			return err
		}
		c.caller = token.Caller{Owner: access.Owner, Scopes: protocol.Scopes{protocol.ScopeFileRead, protocol.ScopeFileWrite, protocol.ScopeLinkCreate}}
		return nil
	}
	if authorization == "" {
		c.srv.met.AuthFailed(authMissing)
		return unauthenticatedV0("the request has no token, and v0_access does not have its address; nothing was done")
	}
	caller, err := c.srv.cfg.Tokens.Caller(c.ctx, authorization)
	if err == nil && caller.TokenID == "" {
		err = unauthenticatedV0("this daemon has no tokens, so the one of the request is not good; nothing was done")
	}
	if protocol.KindOf(err) == protocol.KindUnauthenticated {
		c.srv.met.AuthFailed(authRefused)
	}
	if err != nil {
		return err
	}
	return c.enter(caller)
}

// notFromAPage refuses what a page of another site sent, whose reader may sit at
// an address that needs no token. A page's requests to its own site have no
// Origin, and old browsers say nothing else of them either: so the Host has to be
// surely ours whatever else there is.
func (c *call) notFromAPage() error {
	if err := c.srv.checkHost(&c.http.Request.Header); err != nil || c.origin != "" {
		return err
	}
	if err := sameSite(&c.http.Request.Header); err != nil {
		return err
	}
	if c.srv.cfg.Hosts == nil && !c.srv.surelyOurs(string(c.http.Host())) {
		return &protocol.Error{Kind: protocol.KindBadHost, Message: "without a token this daemon answers only to its address and its own names; nothing was done",
			Hint: "Use its IP address or the name of public_url, or send a token."}
	}
	return nil
}

// surelyOurs reports whether a Host is one that nobody else can have lead here:
// an address, localhost, or the configured name. Any other may be a page's own, made to
// resolve to this machine (DNS rebinding).
func (s *Server) surelyOurs(host string) bool {
	name := hostName(strings.ToLower(host))
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil || name == "localhost" {
		return true
	}
	u, err := url.Parse(s.cfg.PublicURL)
	return err == nil && u.Host != "" && name == hostName(strings.ToLower(u.Host))
}

func unauthenticatedV0(message string) error {
	return &protocol.Error{Kind: protocol.KindUnauthenticated, Message: message, Hint: "Send Authorization: Bearer osp_…, or have v0_access list the address."}
}

// openSigned lets in who has a signed link of v0. Its signature is a link's
// token and holds all that is used; what the query says beside it has to be the
// same.
func (c *call) openSigned(action protocol.LinkAction) error {
	for _, name := range v0Signed() {
		if c.query[name] == "" {
			return protocol.Errorf(protocol.KindBadRequest, "the query does not have %s; nothing was done", name)
		}
	}
	g, err := c.srv.cfg.Links.Open(c.ctx, c.query["signature"], action)
	if err == nil && !c.signedFor(g) {
		err = protocol.Errorf(protocol.KindForbidden, "this link is not good: uid, date or expire were changed; nothing was done")
	}
	if err != nil {
		if protocol.KindOf(err) == protocol.KindForbidden {
			c.srv.met.AuthFailed(authRefused)
		}
		return err
	}
	c.caller, c.grant, c.linkText = token.Caller{Owner: g.Owner}, &g, c.query["signature"]
	return nil
}

// v0Date is the form of date, always in UTC.
const v0Date = "2006-01-02T15:04:05Z"

// signedFor reports whether the query's uid and times are those of the grant.
func (c *call) signedFor(g link.Grant) bool {
	date, err := time.Parse(v0Date, c.query["date"])
	if err != nil {
		return false
	}
	seconds, err := strconv.ParseInt(c.query["expire"], 10, 64)
	if err != nil || seconds < 1 || seconds > int64(link.LastExpiry/time.Second) || strconv.FormatInt(seconds, 10) != c.query["expire"] {
		return false
	}
	return c.query["uid"] == g.UID.String() && date.Add(time.Duration(seconds)*time.Second).Equal(g.Expires)
}
