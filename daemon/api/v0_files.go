package api

import (
	"cmp"
	"net"
	"net/http"
	"net/url"

	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/protocol"
)

// v0GetFile answers with the bytes of a signed link's file, as a link of v1
// does. Without online they are shown where they may be, as ever in v0; by a link
// that was signed to save them they never are.
func (c *call) v0GetFile() error {
	g := c.grant
	show := presentation{name: g.Name, mediaType: g.MediaType, cache: "private, no-store"}
	switch c.query["online"] {
	case "", "1":
		show.inline = g.Inline
	case "0":
	default:
		return protocol.Errorf(protocol.KindBadRequest, "online is 0 or 1")
	}
	return c.serveFile(g.UID, show)
}

// v0Locate says which node has a file, or the chunks that came of one.
func (c *call) v0Locate() error {
	uid, err := protocol.ParseUID(c.query["uid"])
	if err != nil {
		return err
	}
	if _, err = c.srv.cfg.Files.File(c.ctx, c.caller.Owner, uid); protocol.KindOf(err) == protocol.KindNotFound {
		err = c.srv.cfg.Uploads.Known(c.ctx, c.caller.Owner, uid)
	}
	if err == nil {
		err = c.isHere(uid)
	}
	if err != nil {
		return err
	}
	c.writeV0(http.StatusOK, v0OK, c.nodeAddress())
	return nil
}

// isHere makes sure that this node has the bytes of a File, or of what comes to be
// one; another is asked itself where it is reached.
func (c *call) isHere(uid protocol.UID) error {
	if err := c.srv.cfg.Uploads.Here(c.ctx, c.caller.Owner, uid); err != nil {
		return err
	}
	content, err := c.srv.cfg.Files.Open(c.ctx, c.caller.Owner, uid)
	if err != nil {
		if to := holder.Of(err); to != nil {
			return to
		}
		return nil // what else is wrong with them says nothing of where they are
	}
	return content.Close()
}

// nodeAddress is where this node is reached: as configured, else as this caller
// did. Where a node asks for its caller that is by another port.
func (c *call) nodeAddress() string {
	u, err := url.Parse(c.srv.cfg.PublicURL)
	switch {
	case (err != nil || u.Host == "") && c.door.peers:
		host, _, _ := net.SplitHostPort(c.http.LocalAddr().String())
		_, port, _ := net.SplitHostPort(c.srv.front.address())
		return net.JoinHostPort(host, port)
	case err != nil || u.Host == "":
		return c.http.LocalAddr().String()
	}
	port := "80"
	if u.Scheme == "https" {
		port = "443"
	}
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port))
}
