package api

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/osproxy/osproxy/daemon/link"
	"github.com/osproxy/osproxy/protocol"
)

// How many links one request of v0 is given.
const (
	v0MaxUploads   = 50
	v0MaxDownloads = 200
)

// v0Seconds is how long a link is to be good. It may be any whole number: what
// is too long is cut.
type v0Seconds int64

// UnmarshalJSON is json.Unmarshaler.
func (s *v0Seconds) UnmarshalJSON(text []byte) error {
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil || f != math.Trunc(f) {
		return protocol.Errorf(protocol.KindBadRequest, "expire is not a number of seconds; nothing was done")
	}
	*s = v0Seconds(max(0, min(f, float64(link.LastExpiry/time.Second))))
	return nil
}

// readV0JSON reads the body of a request. Fields that are not known are passed
// over, and so is what the header says of it: clients of v0 send either.
func (c *call) readV0JSON(v any) error {
	b, err := io.ReadAll(c.body)
	if err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	if !utf8.Valid(b) {
		return protocol.Errorf(protocol.KindBadRequest, "the body is not UTF-8; nothing was done")
	}
	if err := json.Unmarshal(b, v); err != nil {
		return &protocol.Error{Kind: protocol.KindBadRequest, Message: "the body is not the JSON of this request; nothing was done", Err: err}
	}
	return nil
}

// expiry is for how many seconds links are signed when asked for so many.
func (c *call) expiry(asked v0Seconds) (int64, error) {
	if asked <= 0 {
		return 0, protocol.Errorf(protocol.KindBadRequest, "expire is not a number of seconds from 1; no link was signed")
	}
	return min(int64(asked), int64(c.srv.cfg.Links.MaxExpiry()/time.Second)), nil
}

// v0UploadLinks is one answer of link/upload.
type v0UploadLinks struct {
	UID string       `json:"uid"`
	URL v0UploadURLs `json:"url"`
	// Path is the name as it was asked for.
	Path string `json:"path"`
}

type v0UploadURLs struct {
	Single string     `json:"single"`
	Multi  v0MultiURL `json:"multi"`
}

type v0MultiURL struct {
	Upload string `json:"upload"`
	Merge  string `json:"merge"`
}

// v0SignUploads signs links to put files. One grant has three addresses.
func (c *call) v0SignUploads() error {
	var ask struct {
		FilePath []string  `json:"filePath"`
		Expire   v0Seconds `json:"expire"`
	}
	if err := c.readV0JSON(&ask); err != nil {
		return err
	}
	if err := c.caller.Require(protocol.ScopeFileWrite); err != nil {
		return err
	}
	expire, err := c.expiry(ask.Expire)
	if err != nil {
		return err
	}
	paths := distinct(ask.FilePath)
	switch {
	case ask.FilePath == nil:
		return protocol.Errorf(protocol.KindBadRequest, "the body has no filePath; no link was signed")
	case len(paths) > v0MaxUploads:
		return protocol.Errorf(protocol.KindBadRequest, "one request signs links for at most %d names, not %d; none was signed", v0MaxUploads, len(paths))
	}
	links := make([]protocol.NewLink, len(paths))
	for i, p := range paths {
		name, err := v0Name(p)
		if err != nil {
			return err
		}
		links[i] = protocol.NewLink{Action: protocol.LinkPut, Name: &name, ExpiresIn: &expire}
	}
	signed, err := c.sign(links)
	if err != nil {
		return err
	}
	data := make([]v0UploadLinks, len(signed))
	for i, s := range signed {
		query := "?" + v0LinkQuery(s, expire, "")
		data[i] = v0UploadLinks{UID: s.Grant.UID.String(), Path: paths[i], URL: v0UploadURLs{
			Single: v0Prefix + "/upload" + query, Multi: v0MultiURL{Upload: v0Prefix + "/upload/multi" + query, Merge: v0Prefix + "/upload/merge" + query},
		}}
	}
	c.writeV0(http.StatusOK, v0OK, data)
	return nil
}

// sign is link.Service.Sign that signs nothing where nothing is asked for.
func (c *call) sign(links []protocol.NewLink) ([]link.Signed, error) {
	if len(links) == 0 {
		return nil, nil
	}
	return c.srv.cfg.Links.Sign(c.ctx, c.caller.Owner, links)
}

// v0Name is the name of the file that a path of the client is put under: its
// last part, in the one spelling that a name here has.
func v0Name(p string) (string, error) {
	name := v0LastPart(p)
	if len(path.Ext(name)) < len(".x") {
		return "", protocol.Errorf(protocol.KindBadName, "the name %.80q has no extension; no link was signed", name)
	}
	return name, nil
}

// v0LinkQuery is the query of a signed link, with more between. Nothing of it
// but the signature is believed.
func v0LinkQuery(s link.Signed, expire int64, more string) string {
	date := s.Grant.Expires.Add(-time.Duration(expire) * time.Second).UTC().Format(v0Date)
	return fmt.Sprintf("uid=%s&date=%s&expire=%d%s&signature=%s", s.Grant.UID, date, expire, more, s.Token)
}

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
	// MD5 is "" while it is not known.
	MD5  string `json:"md5"`
	Size string `json:"size"`
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
		data, links, err := c.v0Described(uids, expire)
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

func (c *call) v0Described(uids []protocol.UID, expire int64) ([]v0DownloadLink, []protocol.NewLink, error) {
	data, links := []v0DownloadLink{}, []protocol.NewLink{}
	for _, uid := range uids {
		meta, err := c.v0FileMeta(uid)
		if protocol.KindOf(err) == protocol.KindNotFound {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		data = append(data, v0DownloadLink{UID: uid.String(), Meta: meta})
		links = append(links, protocol.NewLink{Action: protocol.LinkGet, UID: &uid, ExpiresIn: &expire})
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
	}
	if f.MediaType != nil && strings.HasPrefix(*f.MediaType, "image/") {
		m.Width, m.Height, err = c.srv.cfg.Files.ImageSize(c.ctx, c.caller.Owner, uid)
	}
	return m, err
}

// distinct leaves out what is there before.
func distinct(list []string) []string {
	out, seen := make([]string, 0, len(list)), map[string]bool{}
	for _, s := range list {
		if !seen[s] {
			out = append(out, s)
		}
		seen[s] = true
	}
	return out
}
