package api

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/osproxy/osproxy/daemon/file"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
)

// putFile takes a small file whole. Its bytes are held in memory, so only so
// many at once.
func (c *call) putFile() error {
	f, err := c.newFile()
	if err != nil {
		return err
	}
	buf, release, err := c.srv.oneShots.take(c.ctx, string(c.caller.Owner), c.body.want, c.srv.limits.OneShotWait)
	if err != nil {
		return err
	}
	f.Body, c.release = buf, release
	if _, err := io.ReadFull(c.body, f.Body); err != nil {
		return fmt.Errorf("read the file: %w", err)
	}
	c.held = buf
	once, err := c.once(f.Body)
	if err != nil {
		return err
	}
	reply, err := c.srv.cfg.Uploads.PutFile(c.ctx, c.caller.Owner, f, once)
	if err != nil {
		return err
	}
	c.writeReply(reply, "/v1/files/")
	return nil
}

// newFile reads what the query and the header say of the file.
func (c *call) newFile() (f upload.NewFile, err error) {
	f.Name = c.query["name"]
	if mediaType := c.header("Content-Type"); mediaType != "" {
		f.MediaType = &mediaType
	}
	for name, value := range c.query {
		if key, ok := strings.CutPrefix(name, "meta."); ok {
			if f.Meta == nil {
				f.Meta = map[string]string{}
			}
			f.Meta[key] = value
		}
	}
	if text, ok := c.query["expires_at"]; ok {
		f.ExpiresAt = new(protocol.Time)
		if err := f.ExpiresAt.UnmarshalText([]byte(text)); err != nil {
			return f, fmt.Errorf("expires_at: %w", err)
		}
	}
	f.XXH3, f.SHA256, err = c.hashes()
	return f, err
}

func (c *call) getFile() error {
	f, err := c.srv.cfg.Files.File(c.ctx, c.caller.Owner, c.uid)
	if err != nil {
		return err
	}
	c.writeJSON(http.StatusOK, f)
	return nil
}

func (c *call) listFiles() error {
	limit, err := c.limit()
	if err != nil {
		return err
	}
	q := file.Query{Limit: limit, Cursor: c.query["cursor"], Name: c.query["name"], Prefix: c.query["prefix"]}
	if text := c.query["digest"]; text != "" {
		d, err := protocol.ParseDigest(text)
		if err != nil {
			return err
		}
		q.Digest = &d
	}
	list, err := c.srv.cfg.Files.Files(c.ctx, c.caller.Owner, q)
	if err != nil {
		return err
	}
	c.writeJSON(http.StatusOK, list)
	return nil
}

func (c *call) patchFile() error {
	b, err := c.readJSON()
	if err != nil {
		return err
	}
	patch, err := file.ParsePatch(b)
	if err != nil {
		return err
	}
	if err := c.precondition(); err != nil {
		return err
	}
	f, err := c.srv.cfg.Files.Patch(c.ctx, c.caller.Owner, c.uid, patch)
	if err != nil {
		return err
	}
	c.writeJSON(http.StatusOK, f)
	return nil
}

func (c *call) deleteFile() error {
	if err := c.precondition(); err != nil {
		return err
	}
	if err := c.srv.cfg.Files.Delete(c.ctx, c.caller.Owner, c.uid); err != nil {
		return err
	}
	c.writeNothing()
	return nil
}

// getContent answers with a File's bytes.
func (c *call) getContent() error {
	switch d := c.query["disposition"]; d {
	case "", protocol.DispositionAttachment, protocol.DispositionInline:
	default:
		return protocol.Errorf(protocol.KindBadRequest, "the disposition is attachment or inline")
	}
	return c.serveFile(c.uid, presentation{inline: c.query["disposition"] == protocol.DispositionInline})
}

// presentation is how a File's bytes are shown.
type presentation struct {
	inline bool
	// name and mediaType are the File's own where empty, cache is
	// representation's.
	name, mediaType, cache string
}

func (c *call) serveFile(uid protocol.UID, p presentation) error {
	content, err := c.srv.cfg.Files.Open(c.ctx, c.caller.Owner, uid)
	if err != nil {
		return err
	}
	f := content.File()
	mediaType := "application/octet-stream"
	if f.MediaType != nil && *f.MediaType != "" {
		mediaType = *f.MediaType
	}
	mediaType = cmp.Or(p.mediaType, mediaType)
	return c.serveContent(representation{
		size: content.Size(), etag: f.ETag, modified: f.CommittedAt.Time, mediaType: mediaType, cache: p.cache,
		disposition: disposition(p.inline && mayInline(mediaType), cmp.Or(p.name, protocol.LastSegment(f.Name))),
		sha256:      f.SHA256,
		check:       content.Check, writeRange: content.WriteRange, close: content.Close,
	})
}

// getBlocks answers with the digests of a File's blocks. They are as immutable
// as the content and have a validator of their own.
func (c *call) getBlocks() error {
	blocks, err := c.srv.cfg.Files.Blocks(c.ctx, c.caller.Owner, c.uid)
	if err != nil {
		return err
	}
	f := blocks.File()
	return c.serveContent(representation{
		size: blocks.Size(), etag: strings.TrimSuffix(f.ETag, `"`) + `-blocks"`, modified: f.CommittedAt.Time,
		mediaType: "application/octet-stream", disposition: "attachment",
		writeRange: blocks.WriteRange,
	})
}
