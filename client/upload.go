package client

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/osproxy/osproxy/protocol"
)

// BeginUpload is POST /v1/uploads. found says that b.Resume found an upload
// instead of making one. A repeated call with the same idempotency key ("" for
// none) gives the same upload.
func (c *Client) BeginUpload(ctx context.Context, b protocol.BeginUpload, key string) (up protocol.Upload, found bool, err error) {
	resp, err := c.call(ctx, request{op: "begin the upload", method: http.MethodPost, path: "/v1/uploads",
		header: idempotency(key), body: b}, &up)
	if err != nil {
		return protocol.Upload{}, false, err
	}
	return up, resp.StatusCode == http.StatusOK, nil
}

// Probe is POST /v1/uploads/probe of a daemon that has FeatureProbe: whether
// begins of at most protocol.MaxProbeItems uploads would say maybe, each
// answered at its place.
func (c *Client) Probe(ctx context.Context, items []protocol.ProbeItem) ([]bool, error) {
	r := request{op: "ask which contents are known", method: http.MethodPost, path: "/v1/uploads/probe", body: protocol.Probe{Items: items}}
	var answer protocol.Probed
	resp, err := c.call(ctx, r, &answer)
	if err != nil {
		return nil, err
	}
	if len(answer.Items) != len(items) {
		return nil, notOurs(r.op, resp, fmt.Sprintf("%d answers to %d questions", len(answer.Items), len(items)))
	}
	maybe := make([]bool, len(items))
	for i, it := range answer.Items {
		maybe[i] = it.Maybe
	}
	return maybe, nil
}

// Upload is GET /v1/uploads/{uid}: the upload with the parts the daemon holds,
// or, once committed, its File.
func (c *Client) Upload(ctx context.Context, uid protocol.UID) (up protocol.Upload, err error) {
	_, err = c.call(ctx, request{op: "ask for upload " + uid.String(), method: http.MethodGet, path: uploadPath(uid)}, &up)
	return up, err
}

// Uploads is one page of GET /v1/uploads: open uploads, newest first. cursor
// is the last page's Next, "" for the first page; limit 0 is the daemon's.
func (c *Client) Uploads(ctx context.Context, limit int, cursor string) (list protocol.UploadList, err error) {
	_, err = c.call(ctx, request{op: "list uploads", method: http.MethodGet, path: "/v1/uploads", query: page(limit, cursor)}, &list)
	return list, err
}

// AbortUpload is DELETE /v1/uploads/{uid}. A committed one is KindCommitted.
func (c *Client) AbortUpload(ctx context.Context, uid protocol.UID) error {
	_, err := c.call(ctx, request{op: "abort upload " + uid.String(), method: http.MethodDelete, path: uploadPath(uid)}, nil)
	return err
}

// PutPart is PUT /v1/uploads/{uid}/parts/{n} with length bytes of body, which
// must then end, and their XXH3, which the daemon checks. A body that is a
// syscall.Conn (as *os.File is) is sent by the kernel where it can be. body is
// closed in any case, but, as with net/http, possibly after PutPart returned.
func (c *Client) PutPart(ctx context.Context, uid protocol.UID, n protocol.PartNumber, body io.ReadCloser, length int64, sum protocol.XXH3) (part protocol.Part, err error) {
	h := http.Header{}
	h.Set(protocol.HeaderXXH3, sum.String())
	h.Set("Content-Type", "application/octet-stream")
	_, err = c.call(ctx, request{op: fmt.Sprintf("send part %d", n), method: http.MethodPut,
		path: uploadPath(uid) + "/parts/" + strconv.Itoa(int(n)), header: h, stream: body, length: length}, &part)
	return part, err
}

// Commit is POST /v1/uploads/{uid}/commit. repeated says that the upload had
// been committed before: the File may be another writer's then.
func (c *Client) Commit(ctx context.Context, uid protocol.UID, commit protocol.CommitUpload) (f protocol.File, repeated bool, err error) {
	resp, err := c.call(ctx, request{op: "commit upload " + uid.String(), method: http.MethodPost,
		path: uploadPath(uid) + "/commit", body: commit}, &f)
	if err != nil {
		return protocol.File{}, false, err
	}
	return f, resp.Header.Get(protocol.HeaderRepeated) == "true", nil
}

// StartClaim is the first round of POST /v1/uploads/{uid}/claim: it says which
// content the upload is of. KindClaimRefused: send the parts.
func (c *Client) StartClaim(ctx context.Context, uid protocol.UID, digest protocol.Digest) (ch protocol.Challenge, err error) {
	_, err = c.call(ctx, claim(uid, protocol.Claim{Digest: &digest}), &ch)
	return ch, err
}

// FinishClaim is the second round: the nonce of the challenge as it came, and
// the proof (protocol.Proof) that the content is at hand. A repetition after a
// success gives the same File. KindClaimRefused: send the parts.
func (c *Client) FinishClaim(ctx context.Context, uid protocol.UID, nonce string, proof [32]byte) (f protocol.File, err error) {
	text := hex.EncodeToString(proof[:])
	_, err = c.call(ctx, claim(uid, protocol.Claim{Nonce: &nonce, Proof: &text}), &f)
	return f, err
}

func claim(uid protocol.UID, body protocol.Claim) request {
	return request{op: "claim the content of upload " + uid.String(), method: http.MethodPost, path: uploadPath(uid) + "/claim", body: body}
}

func uploadPath(uid protocol.UID) string { return "/v1/uploads/" + uid.String() }

func idempotency(key string) http.Header {
	h := http.Header{}
	if key != "" {
		h.Set(protocol.HeaderIdempotencyKey, key)
	}
	return h
}

func page(limit int, cursor string) url.Values {
	q := url.Values{}
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	return q
}
