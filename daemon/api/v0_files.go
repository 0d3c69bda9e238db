package api

import (
	"cmp"
	"net"
	"net/http"
	"net/url"

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
	if err != nil {
		return err
	}
	c.writeV0(http.StatusOK, v0OK, c.nodeAddress())
	return nil
}

// nodeAddress is where this node is reached: as configured, else as this caller
// did.
func (c *call) nodeAddress() string {
	u, err := url.Parse(c.srv.cfg.PublicURL)
	if err != nil || u.Host == "" {
		return c.http.LocalAddr().String()
	}
	port := "80"
	if u.Scheme == "https" {
		port = "443"
	}
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port))
}
