package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"path"
	"strconv"
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
	c.held = b
	if !utf8.Valid(b) {
		return protocol.Errorf(protocol.KindBadRequest, "the body is not UTF-8; nothing was done")
	}
	err = json.Unmarshal(b, v)
	if said, ok := errors.AsType[*protocol.Error](err); ok {
		return said
	}
	if err != nil {
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
