package api

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/osproxy/osproxy/daemon/link"
	"github.com/osproxy/osproxy/daemon/once"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
)

// createLinks signs links, as far as the token itself reaches: one that may not
// read makes no link that reads.
func (c *call) createLinks() error {
	if c.caller.TokenID == "" {
		// What is signed outlives what the daemon believes of itself.
		if open, err := c.srv.cfg.Tokens.StillOpen(c.ctx); err != nil || !open {
			return errors.Join(err, protocol.Errorf(protocol.KindUnauthenticated, "this daemon has tokens since a moment ago; no link was signed"))
		}
	}
	b, err := c.readJSON()
	if err != nil {
		return err
	}
	var create protocol.CreateLinks
	if err := protocol.DecodeRequest(b, &create); err != nil {
		return err
	}
	for _, l := range create.Links {
		need := protocol.ScopeFileRead
		if l.Action == protocol.LinkPut {
			need = protocol.ScopeFileWrite
		}
		if err := c.caller.Require(need); err != nil {
			return err
		}
	}
	once, err := c.once(b)
	if err != nil {
		return err
	}
	reply, err := c.srv.cfg.Links.Once(c.ctx, c.caller.Owner, once, create.Links, c.wireLinks)
	if err != nil {
		return err
	}
	c.writeBody(http.StatusOK, reply.Body)
	return nil
}

// wireLinks is the answer.
func (c *call) wireLinks(signed []link.Signed) (once.Reply, error) {
	list := protocol.LinkList{Links: make([]protocol.Link, len(signed))}
	base := strings.TrimSuffix(c.publicURL(), "/")
	for i, s := range signed {
		list.Links[i] = protocol.Link{URL: base + "/l/" + s.Token, Token: s.Token, Action: s.Grant.Action, UID: s.Grant.UID,
			ExpiresAt: protocol.TimeOf(s.Grant.Expires)}
	}
	return once.ReplyOf(true, 0, list)
}

// publicURL is the address under which others reach the daemon: the configured
// one, else that under which this caller did.
func (c *call) publicURL() string {
	if c.srv.cfg.PublicURL != "" {
		return c.srv.cfg.PublicURL
	}
	return "http://" + string(c.http.Host())
}

// revokeLinks ends links before their time: of one uid, or all of the owner's.
func (c *call) revokeLinks() error {
	var uid protocol.UID
	text, one := c.query["uid"]
	switch all := c.query["all"]; {
	case one == (all == "true"), all != "" && all != "true":
		return &protocol.Error{Kind: protocol.KindBadRequest, Message: "say whose links are to end; none was ended", Hint: "Give uid=UID for those of one file, or all=true."}
	case one:
		var err error
		if uid, err = protocol.ParseUID(text); err != nil {
			return err
		}
	}
	if err := c.srv.cfg.Links.Revoke(c.ctx, c.caller.Owner, uid); err != nil {
		return err
	}
	c.writeNothing()
	return nil
}

// getLink answers with the bytes of the link's File. No cache keeps them: what
// keeps a link keeps the right to read.
func (c *call) getLink() error {
	g := c.grant
	return c.serveFile(g.UID, presentation{inline: g.Inline, name: g.Name, mediaType: g.MediaType, cache: "private, no-store"})
}

// putLink takes the link's file in one request, however large it is.
func (c *call) putLink() error {
	xxh3, sum, err := c.hashes()
	if err != nil {
		return err
	}
	begin, err := c.linkedFile()
	if err != nil {
		return err
	}
	f, err := c.srv.cfg.Uploads.PutLinked(c.ctx, c.linked(), begin, upload.Body{Reader: c.body, Length: c.body.want, XXH3: xxh3, SHA256: sum})
	if err != nil {
		return c.toStranger(err)
	}
	c.http.Response.Header.Set("Location", "/v1/files/"+f.UID.String())
	c.writeJSON(http.StatusCreated, c.shown(f))
	return nil
}

// linkedFile is the file that a PUT to a link brings, by its header alone: who
// waits with the body is refused before it is sent.
func (c *call) linkedFile() (begin protocol.BeginUpload, err error) {
	h := &c.http.Request.Header
	size := int64(h.ContentLength())
	begin.Size = &size
	if mediaType := c.header("Content-Type"); mediaType != "" {
		begin.MediaType = &mediaType
	}
	if err := c.bind(&begin); err != nil {
		return begin, err
	}
	return begin, c.linked().Check(begin.Size)
}

// shown is what who has a link sees of its file: not what the owner said of it
// since.
func (c *call) shown(f protocol.File) protocol.File {
	if c.grant != nil {
		f.Name, f.Meta, f.ExpiresAt = c.grant.Name, nil, nil
	}
	return f
}

// toStranger keeps from who has a link how much its owner has.
func (c *call) toStranger(err error) error {
	if c.grant != nil && protocol.KindOf(err) == protocol.KindQuotaExceeded {
		return &protocol.Error{Kind: protocol.KindQuotaExceeded, Message: "there is no room for this file; nothing was recorded", Hint: "Ask who gave the link to you.", Err: err}
	}
	return err
}

// beginLinked is beginUpload for who has a link.
func (c *call) beginLinked(begin protocol.BeginUpload) error {
	if err := c.bind(&begin); err != nil {
		return err
	}
	reply, err := c.srv.cfg.Uploads.BeginLinked(c.ctx, c.linked(), begin)
	if err != nil {
		return c.toStranger(err)
	}
	c.writeReply(reply, "/v1/uploads/")
	return nil
}

func (c *call) linked() upload.Linked {
	still := func(ctx context.Context) error { return c.srv.cfg.Links.Still(ctx, c.linkText) }
	return upload.Linked{Owner: c.grant.Owner, UID: c.grant.UID, MaxSize: c.grant.MaxSize, Still: still}
}

// bind has the file be the one that the link is for. What the request says
// otherwise is refused, not passed over.
func (c *call) bind(begin *protocol.BeginUpload) error {
	g := c.grant
	switch {
	case begin.Name != "" && begin.Name != g.Name:
		return protocol.Errorf(protocol.KindForbidden, "this link is for a file named %q; nothing was recorded", g.Name)
	case g.MediaType != "" && begin.MediaType != nil && *begin.MediaType != g.MediaType:
		return protocol.Errorf(protocol.KindForbidden, "this link is for a file of type %s; nothing was recorded", g.MediaType)
	case begin.Meta != nil || begin.ExpiresAt != nil:
		return protocol.Errorf(protocol.KindForbidden, "with a link nothing else can be said of the file; nothing was recorded")
	}
	begin.Name = g.Name
	// The upload of the link's uid is the only one there is to resume; and by a
	// fingerprint its owner would find it.
	begin.Resume, begin.Fingerprint = false, nil
	if g.MediaType != "" {
		begin.MediaType = &g.MediaType
	}
	return nil
}
