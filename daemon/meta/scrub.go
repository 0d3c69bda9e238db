package meta

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/osproxy/osproxy/protocol"
)

// ScrubArgs say what a job of kind scrub is to read: the content of a file of
// the job's owner, a content, or with neither all there are. Which content a
// file has is nobody's business but the daemon's.
type ScrubArgs struct {
	File    protocol.UID `json:"file,omitzero"`
	Content ContentID    `json:"content,omitzero"`
}

// FileScrub is a scrub of a file of the owner's.
func FileScrub(owner protocol.Owner, uid protocol.UID) (NewJob, error) {
	args, err := json.Marshal(ScrubArgs{File: uid})
	return NewJob{Kind: protocol.JobScrub, Owner: owner, Args: args, Subject: "file/" + uid.String()}, err
}

// EnqueueScrub asks for a scrub of the content, once while one waits.
func (db *DB) EnqueueScrub(ctx context.Context, content ContentID) error {
	args, err := json.Marshal(ScrubArgs{Content: content})
	if err != nil {
		return err
	}
	_, _, err = db.Enqueue(ctx, NewJob{Kind: protocol.JobScrub, Args: args, Subject: "content/" + strconv.FormatInt(int64(content), 10)})
	return err
}
