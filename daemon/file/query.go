package file

import (
	"context"
	"encoding/base64"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// The bounds of a page of files (WIRE 8).
const (
	DefaultLimit = 100
	MaxLimit     = 1000
)

// Query selects a page of files, newest first. What is empty does not select.
type Query struct {
	// Limit is 1 to MaxLimit; 0, for a caller that was not told any, is
	// DefaultLimit.
	Limit int
	// Cursor is the Next of the page before.
	Cursor string
	// Name is the whole name, Prefix its beginning.
	Name   string
	Prefix string
	Digest *protocol.Digest
}

// Files is a page of the owner's Files. Next is nil on the last one. A limit
// or cursor that cannot be is KindBadRequest.
func (s *Service) Files(ctx context.Context, owner protocol.Owner, q Query) (protocol.FileList, error) {
	if q.Limit == 0 {
		q.Limit = DefaultLimit
	}
	if q.Limit < 1 || q.Limit > MaxLimit {
		return protocol.FileList{}, protocol.Errorf(protocol.KindBadRequest, "a limit is 1 to %d, this one is %d", MaxLimit, q.Limit)
	}
	before, err := parseCursor(q.Cursor)
	if err != nil {
		return protocol.FileList{}, err
	}
	mq := meta.FileQuery{Limit: q.Limit, Before: before, Name: q.Name, Prefix: q.Prefix, Digest: q.Digest}
	files, err := s.cfg.Meta.Files(ctx, owner, mq)
	if err != nil {
		return protocol.FileList{}, err
	}
	list := protocol.FileList{Files: files}
	if len(files) < q.Limit {
		return list, nil
	}
	mq.Limit, mq.Before = 1, files[len(files)-1].UID
	more, err := s.cfg.Meta.Files(ctx, owner, mq)
	if err != nil {
		return protocol.FileList{}, err
	}
	if len(more) > 0 {
		next := cursorAfter(mq.Before)
		list.Next = &next
	}
	return list, nil
}

// A cursor is the uid of the last File of a page in base64url, so that nobody
// takes it for something to calculate with.
func cursorAfter(uid protocol.UID) string {
	return base64.RawURLEncoding.EncodeToString([]byte(uid.String()))
}

func parseCursor(s string) (protocol.UID, error) {
	if s == "" {
		return 0, nil
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err == nil {
		if uid, err := protocol.ParseUID(string(text)); err == nil {
			return uid, nil
		}
	}
	return 0, &protocol.Error{Kind: protocol.KindBadRequest, Message: "this cursor is none of ours",
		Hint: `Send the "next" of the page before as it came, or no cursor for the first page.`}
}
