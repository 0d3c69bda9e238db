package api

import (
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// v0DownloadLink is one answer of link/download.
type v0DownloadLink struct {
	UID  string     `json:"uid"`
	URL  string     `json:"url"`
	Meta v0FileMeta `json:"meta"`
}

type v0FileMeta struct {
	SrcName string `json:"srcName"`
	// DstName is a name that no other file has. It says nothing of where the
	// bytes lie.
	DstName string `json:"dstName"`
	Height  int    `json:"height"`
	Width   int    `json:"width"`
	// MD5 is what was said of the file while its bytes' own is not known, and ""
	// where nothing was.
	MD5  string `json:"md5"`
	Size string `json:"size"`
	// pending says that a digest job could tell more.
	pending bool
}

// v0SignDownloads signs links to get files. What the owner does not have is left
// out.
func (c *call) v0SignDownloads() error {
	var ask struct {
		UID    []string  `json:"uid"`
		Expire v0Seconds `json:"expire"`
	}
	if err := c.readV0JSON(&ask); err != nil {
		return err
	}
	if err := c.caller.Require(protocol.ScopeFileRead); err != nil {
		return err
	}
	expire, err := c.expiry(ask.Expire)
	if err != nil {
		return err
	}
	texts := distinct(ask.UID)
	switch {
	case ask.UID == nil:
		return protocol.Errorf(protocol.KindBadRequest, "the body has no uid; no link was signed")
	case len(texts) > v0MaxDownloads:
		return protocol.Errorf(protocol.KindBadRequest, "one request signs links for at most %d uids, not %d; none was signed", v0MaxDownloads, len(texts))
	}
	uids := make([]protocol.UID, len(texts))
	for i, text := range texts {
		if uids[i], err = protocol.ParseUID(text); err != nil {
			return err
		}
	}
	data, err := c.v0Downloads(uids, expire)
	if err != nil {
		return err
	}
	c.writeV0(http.StatusOK, v0OK, data)
	return nil
}

// v0Downloads describes the files that there are and signs their links.
func (c *call) v0Downloads(uids []protocol.UID, expire int64) ([]v0DownloadLink, error) {
	for try := 1; ; try++ {
		data, links, err := c.v0Known(uids, expire)
		if err != nil {
			return nil, err
		}
		signed, err := c.sign(links)
		if protocol.KindOf(err) == protocol.KindNotFound && try < 3 {
			continue // one was deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		for i, s := range signed {
			// bucket and object were what the predecessor's signature bound; clients
			// send them back.
			more := "&name=" + strings.ReplaceAll(url.QueryEscape(data[i].Meta.SrcName), "+", "%20") + "&bucket=none&object=none"
			data[i].URL = v0Prefix + "/download?" + v0LinkQuery(s, expire, more)
		}
		return data, nil
	}
}

// v0Wait is how long link/download waits for the digest jobs of files that were
// put a moment ago.
const v0Wait = 2 * time.Second

// v0Known describes the files that there are, and waits a moment where their MD5
// or the size of an image is being found out: clients of v0 ask once.
func (c *call) v0Known(uids []protocol.UID, expire int64) (data []v0DownloadLink, links []protocol.NewLink, err error) {
	// Digest jobs stand aside while a request is served: not for this one.
	defer c.srv.active.idles()()
	err = c.srv.cfg.Uploads.AwaitDigests(c.ctx, c.caller.Owner, v0Wait, func() (all bool, err error) {
		data, links, err = c.v0Described(uids, expire)
		return !slices.ContainsFunc(data, func(d v0DownloadLink) bool { return d.Meta.pending }), err
	})
	return data, links, err
}

func (c *call) v0Described(uids []protocol.UID, expire int64) ([]v0DownloadLink, []protocol.NewLink, error) {
	data, links, inline := []v0DownloadLink{}, []protocol.NewLink{}, protocol.DispositionInline
	for _, uid := range uids {
		meta, err := c.v0FileMeta(uid)
		if protocol.KindOf(err) == protocol.KindNotFound {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		data = append(data, v0DownloadLink{UID: uid.String(), Meta: meta})
		links = append(links, protocol.NewLink{Action: protocol.LinkGet, UID: &uid, ExpiresIn: &expire, Disposition: &inline})
	}
	return data, links, nil
}

func (c *call) v0FileMeta(uid protocol.UID) (m v0FileMeta, err error) {
	f, err := c.srv.cfg.Files.File(c.ctx, c.caller.Owner, uid)
	if err != nil {
		return m, err
	}
	m = v0FileMeta{SrcName: protocol.LastSegment(f.Name), Size: strconv.FormatInt(f.Size, 10)}
	m.DstName = uid.String() + strings.ToLower(path.Ext(m.SrcName))
	if f.MD5 != nil {
		m.MD5 = *f.MD5
	} else if m.MD5, err = c.srv.cfg.Files.SaidMD5(c.ctx, c.caller.Owner, uid); err != nil {
		return m, err
	}
	m.pending = f.MD5 == nil || f.MediaType == nil && namesImage(m.SrcName)
	if f.MediaType != nil && strings.HasPrefix(*f.MediaType, "image/") {
		m.Width, m.Height, err = c.srv.cfg.Files.ImageSize(c.ctx, c.caller.Owner, uid)
	}
	return m, err
}

// namesImage reports whether a file of that name is an image, as far as its name
// says.
func namesImage(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp":
		return true
	}
	return false
}
