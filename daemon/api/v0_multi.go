package api

import (
	"net/http"
	"strconv"

	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
)

// v0PutChunk takes one chunk of a signed link's file.
func (c *call) v0PutChunk() error {
	n, err := c.v0Number("chunkNum", 1, protocol.MaxParts)
	if err != nil {
		return err
	}
	sum, err := c.v0MD5()
	if err != nil {
		return err
	}
	var begin protocol.BeginUpload
	if err := c.bind(&begin); err != nil {
		return err
	}
	if err := c.withV0File(func(f v0File) error {
		_, err := c.srv.cfg.Uploads.PutLinkedChunk(c.ctx, c.linked(), begin, protocol.PartNumber(n), upload.Body{Reader: f.Reader, Length: f.size, MD5: &sum})
		return c.toStranger(err)
	}); err != nil {
		return err
	}
	c.writeV0(http.StatusOK, v0OK, "")
	return nil
}

// v0Merge has the chunks of a signed link's file be the file.
func (c *call) v0Merge() error {
	num, err := c.v0Number("num", 1, protocol.MaxParts)
	if err != nil {
		return err
	}
	size, err := c.v0Number("size", 0, protocol.MaxSize)
	if err != nil {
		return err
	}
	sum, err := c.v0MD5()
	if err != nil {
		return err
	}
	if _, err := c.srv.cfg.Uploads.MergeLinked(c.ctx, c.linked(), upload.Merge{Num: int(num), Size: size, MD5: sum}); err != nil {
		return c.toStranger(err)
	}
	c.writeV0(http.StatusOK, v0OK, "")
	return nil
}

// v0Checkpoint says which chunks of a file are held. A uid of which nothing is
// recorded may be that of a link: no chunk came yet.
func (c *call) v0Checkpoint() error {
	uid, err := protocol.ParseUID(c.query["uid"])
	if err != nil {
		return err
	}
	list, err := c.srv.cfg.Uploads.Chunks(c.ctx, c.caller.Owner, uid)
	if err != nil && protocol.KindOf(err) != protocol.KindNotFound {
		return err
	}
	c.writeV0(http.StatusOK, v0OK, list)
	return nil
}

// v0Number is a whole number of the query, in digits alone.
func (c *call) v0Number(name string, least, most int64) (int64, error) {
	text := c.query[name]
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least || n > most || strconv.FormatInt(n, 10) != text {
		return 0, protocol.Errorf(protocol.KindBadRequest, "%s is not a number from %d to %d; nothing was recorded", name, least, most)
	}
	return n, nil
}
