package meta

import (
	"encoding/json"
	"strconv"

	"github.com/osproxy/osproxy/protocol"
)

// ComposeArgs say which content a job of kind compose joins.
type ComposeArgs struct {
	Content ContentID `json:"content"`
}

// composeSoon has a job join the blobs of a content, where there are more than
// one.
func (t *tx) composeSoon(content ContentID, extents []Extent) error {
	if len(inOrder(blobsIn(extents))) < 2 {
		return nil
	}
	args, err := json.Marshal(ComposeArgs{Content: content})
	if err != nil {
		return err
	}
	_, _, err = t.enqueue(NewJob{Kind: protocol.JobCompose, Args: args, Subject: "content/" + strconv.FormatInt(int64(content), 10)})
	return err
}
