package meta

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/osproxy/osproxy/protocol"
)

// ScrubArgs say what a job of kind scrub is to read: a content, or with 0 all
// there are.
type ScrubArgs struct {
	Content ContentID `json:"content"`
}

// EnqueueScrub asks for a scrub of the content, once while one waits.
func (db *DB) EnqueueScrub(ctx context.Context, content ContentID) error {
	args, err := json.Marshal(ScrubArgs{content})
	if err != nil {
		return err
	}
	_, _, err = db.Enqueue(ctx, NewJob{Kind: protocol.JobScrub, Args: args, Subject: "content/" + strconv.FormatInt(int64(content), 10)})
	return err
}
