package upload

import (
	"context"
	"encoding/base64"

	"github.com/osproxy/osproxy/protocol"
)

const (
	defaultPage = 100
	maxPage     = 1000
)

// Uploads is a page of the owner's open uploads, newest first. limit 0 means
// 100; cursor is the Next of the page before, "" for the first.
func (s *Service) Uploads(ctx context.Context, owner protocol.Owner, limit int, cursor string) (protocol.UploadList, error) {
	if limit == 0 {
		limit = defaultPage
	}
	if limit < 1 || limit > maxPage {
		return protocol.UploadList{}, protocol.Errorf(protocol.KindBadRequest, "limit is 1 to %d", maxPage)
	}
	before, err := parseCursor(cursor)
	if err != nil {
		return protocol.UploadList{}, err
	}
	ups, err := s.db.Uploads(ctx, owner, limit+1, before)
	if err != nil {
		return protocol.UploadList{}, err
	}
	list := protocol.UploadList{Uploads: []protocol.UploadSummary{}}
	if len(ups) > limit {
		ups = ups[:limit]
		next := base64.RawURLEncoding.EncodeToString([]byte(ups[limit-1].UID.String()))
		list.Next = &next
	}
	for _, up := range ups {
		u := s.wire(up)
		list.Uploads = append(list.Uploads, protocol.UploadSummary{
			UID: u.UID, State: u.State, Name: u.Name, Size: u.Size, PartSize: u.PartSize, MediaType: u.MediaType,
			Meta: u.Meta, CreatedAt: u.CreatedAt, AbandonedAt: u.AbandonedAt, Maybe: u.Maybe, File: u.File,
		})
	}
	return list, nil
}

func parseCursor(cursor string) (protocol.UID, error) {
	if cursor == "" {
		return 0, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		var uid protocol.UID
		if uid, err = protocol.ParseUID(string(b)); err == nil {
			return uid, nil
		}
	}
	return 0, &protocol.Error{Kind: protocol.KindBadRequest, Message: "the cursor is not one of ours",
		Hint: "Pass the value of \"next\" from the page before, unchanged."}
}
