package api

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
)

// v0PutFile takes a signed link's file in one request. The same bytes again are
// answered as the first time; others are refused.
func (c *call) v0PutFile() error {
	sum, err := c.v0MD5()
	if err != nil {
		return err
	}
	err = c.withV0File(func(f v0File) error {
		begin := protocol.BeginUpload{Size: &f.size}
		if err := c.bind(&begin); err != nil {
			return err
		}
		in := &counted{r: f.Reader}
		l := c.linked()
		l.AnySize = true
		_, err := c.srv.cfg.Uploads.PutLinked(c.ctx, l, begin, upload.Body{Reader: in, Length: f.size, MD5: &sum})
		if protocol.KindOf(err) != protocol.KindCommitted {
			return c.toStranger(err)
		}
		if in.n > 0 && f.again == nil {
			return &protocol.Error{Kind: protocol.KindUnavailable, RetryAfter: time.Second,
				Message: "another request with this link was first; whether it had the same bytes is found out when they are sent again"}
		}
		if in.n > 0 {
			f.Reader = f.again()
		}
		return c.v0Again(f, sum)
	})
	if err != nil {
		return err
	}
	c.writeV0(http.StatusOK, v0OK, "")
	return nil
}

// v0MD5 is the MD5 that the query announces.
func (c *call) v0MD5() (sum [md5.Size]byte, err error) {
	b, err := hex.DecodeString(c.query["md5"])
	if err != nil || len(b) != len(sum) {
		return sum, protocol.Errorf(protocol.KindBadRequest, "md5 is not 32 hex digits; nothing was recorded")
	}
	return [md5.Size]byte(b), nil
}

// v0Again compares what is sent with the file that the link has put.
func (c *call) v0Again(f v0File, sum [md5.Size]byte) error {
	was, err := c.srv.cfg.Files.File(c.ctx, c.grant.Owner, c.grant.UID)
	if err != nil {
		return err
	}
	other := &protocol.Error{Kind: protocol.KindCommitted, UID: was.UID, Message: "this link has put a file already, and this one is another; the file was not changed"}
	if was.Size != f.size || was.MD5 != nil && !strings.EqualFold(*was.MD5, hex.EncodeToString(sum[:])) {
		return other
	}
	blocks, plain := protocol.NewPartHasher(), md5.New()
	if _, err := io.CopyBuffer(io.MultiWriter(blocks, plain), onlyReader{f.Reader}, make([]byte, 64<<10)); err != nil {
		return fmt.Errorf("compare with what is there: %w", err)
	}
	if [md5.Size]byte(plain.Sum(nil)) != sum {
		return protocol.Errorf(protocol.KindChecksumMismatch, "the bytes that arrived do not have the announced MD5; the file was not changed")
	}
	_, list := blocks.Sum()
	switch {
	case was.Digest == nil && was.MD5 == nil:
		return &protocol.Error{Kind: protocol.KindUnavailable, Message: "whether this is the file that the link has put is not known yet; it was not changed"}
	case was.Digest != nil && *was.Digest != protocol.DigestOf(list):
		return other
	}
	return nil
}

// onlyReader hides what a reader can do besides.
type onlyReader struct{ io.Reader }

// counted counts what is read.
type counted struct {
	r io.Reader
	n int64
}

// Read is io.Reader.
func (r *counted) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.n += int64(n)
	return n, err
}
