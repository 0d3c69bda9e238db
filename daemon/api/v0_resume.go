package api

import (
	"crypto/md5"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/osproxy/osproxy/daemon/names"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
)

// v0Wanted is a file that a client is about to put: its MD5, and its path there.
type v0Wanted struct {
	MD5  string `json:"md5"`
	Path string `json:"path"`
}

// v0Resumed is what a client is told of one: the uid of a new file of these
// bytes, "" where they have to be sent.
type v0Resumed struct {
	MD5 string `json:"md5"`
	UID string `json:"uid"`
}

// v0Resume makes files of what the caller's owner has already. It waits for
// digest jobs, which stand aside while a request is served: not for this one.
func (c *call) v0Resume() error {
	var ask struct {
		Data []v0Wanted `json:"data"`
	}
	if err := c.readV0JSON(&ask); err != nil {
		return err
	}
	if ask.Data == nil {
		return protocol.Errorf(protocol.KindBadRequest, "the body has no data; nothing was recorded")
	}
	list := make([]upload.Twin, len(ask.Data))
	for i, w := range ask.Data {
		b, err := hex.DecodeString(w.MD5)
		if err != nil || len(b) != md5.Size {
			return protocol.Errorf(protocol.KindBadRequest, "md5 %.40q is not 32 hex digits; nothing was recorded", w.MD5)
		}
		list[i] = upload.Twin{Name: v0LastPart(w.Path), MD5: [md5.Size]byte(b)}
	}
	defer c.srv.active.idles()()
	uids, err := c.srv.cfg.Uploads.PutTwins(c.ctx, c.caller.Owner, list)
	if err != nil {
		return err
	}
	data := make([]v0Resumed, len(uids))
	for i, uid := range uids {
		data[i].MD5 = ask.Data[i].MD5
		if uid != 0 {
			data[i].UID = uid.String()
		}
	}
	c.writeV0(http.StatusOK, v0OK, data)
	return nil
}

// v0LastPart is the last part of a path of the client's, in the one spelling
// that a name here has.
func v0LastPart(path string) string {
	return names.Composed(path[strings.LastIndexAny(path, `/\`)+1:])
}
