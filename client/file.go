package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/osproxy/osproxy/protocol"
)

// NewFile describes a File to put in one request. Only Name is required.
type NewFile struct {
	Name      string
	MediaType string
	Meta      map[string]string
	ExpiresAt *protocol.Time
}

// PutFile is POST /v1/files: length bytes of body, at most the daemon's
// one_shot_max, and their XXH3, which the daemon checks. A repeated call with
// the same idempotency key ("" for none) gives the same File.
func (c *Client) PutFile(ctx context.Context, f NewFile, body io.Reader, length int64, sum protocol.XXH3, key string) (file protocol.File, err error) {
	q := page(0, "")
	q.Set("name", f.Name)
	for k, v := range f.Meta {
		q.Set("meta."+k, v)
	}
	if f.ExpiresAt != nil {
		q.Set("expires_at", f.ExpiresAt.String())
	}
	h := idempotency(key)
	h.Set(protocol.HeaderXXH3, sum.String())
	if f.MediaType != "" {
		h.Set("Content-Type", f.MediaType)
	}
	_, err = c.call(ctx, request{op: "put the file", method: http.MethodPost, path: "/v1/files",
		query: q, header: h, stream: io.NopCloser(body), length: length}, &file)
	return file, err
}

// File is GET /v1/files/{uid}.
func (c *Client) File(ctx context.Context, uid protocol.UID) (f protocol.File, err error) {
	_, err = c.call(ctx, request{op: "ask for file " + uid.String(), method: http.MethodGet, path: filePath(uid)}, &f)
	return f, err
}

// FileQuery selects Files; zero fields select all.
type FileQuery struct {
	Name   string
	Prefix string
	Digest *protocol.Digest
	// Limit is at most 1000; 0 is the daemon's.
	Limit int
	// Cursor is the last page's Next, "" for the first page.
	Cursor string
}

// Files is one page of GET /v1/files, newest first.
func (c *Client) Files(ctx context.Context, q FileQuery) (list protocol.FileList, err error) {
	v := page(q.Limit, q.Cursor)
	if q.Name != "" {
		v.Set("name", q.Name)
	}
	if q.Prefix != "" {
		v.Set("prefix", q.Prefix)
	}
	if q.Digest != nil {
		v.Set("digest", q.Digest.String())
	}
	_, err = c.call(ctx, request{op: "list files", method: http.MethodGet, path: "/v1/files", query: v}, &list)
	return list, err
}

// PatchFile is PATCH /v1/files/{uid} with a JSON merge patch (RFC 7396) of
// name, media_type, meta and expires_at.
func (c *Client) PatchFile(ctx context.Context, uid protocol.UID, patch json.RawMessage) (f protocol.File, err error) {
	_, err = c.call(ctx, request{op: "change file " + uid.String(), method: http.MethodPatch, path: filePath(uid),
		header: http.Header{"Content-Type": {"application/merge-patch+json"}}, body: patch}, &f)
	return f, err
}

// DeleteFile is DELETE /v1/files/{uid}.
func (c *Client) DeleteFile(ctx context.Context, uid protocol.UID) error {
	_, err := c.call(ctx, request{op: "delete file " + uid.String(), method: http.MethodDelete, path: filePath(uid)}, nil)
	return err
}

// maxBlockSums bounds the answer of Blocks: the digests of the largest file.
const maxBlockSums = protocol.MaxSize / protocol.BlockSize * 32

// Blocks is GET /v1/files/{uid}/blocks: the raw 32-byte digests of the
// content's blocks, in order. They are not checked against anything here.
func (c *Client) Blocks(ctx context.Context, uid protocol.UID) ([]byte, error) {
	r := request{op: "ask for the block digests of " + uid.String(), method: http.MethodGet, path: filePath(uid) + "/blocks"}
	resp, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	defer discard(resp.Body)
	if resp.StatusCode != http.StatusOK {
		return nil, notOurs(r.op, resp, "part of what was asked for")
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxBlockSums+1))
	switch {
	case err != nil:
		return nil, transportError(ctx, r.op, err)
	case len(data) > maxBlockSums || len(data)%32 != 0:
		return nil, notOurs(r.op, resp, fmt.Sprintf("%d bytes, which are no list of block digests", len(data)))
	}
	return data, nil
}

func filePath(uid protocol.UID) string { return "/v1/files/" + uid.String() }
