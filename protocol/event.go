package protocol

import (
	"encoding/json"
	"slices"
	"strings"
)

// EventKind is what happened, as subscriptions name it.
type EventKind string

// The kinds of events. More may come: a reader passes over those that it does
// not know.
const (
	// EventFileCommitted: a File can be read, however it was put.
	EventFileCommitted EventKind = "file.committed"
	// EventFileDeleted: somebody deleted the File.
	EventFileDeleted EventKind = "file.deleted"
	// EventFileExpired: the File's time was over.
	EventFileExpired EventKind = "file.expired"
	// EventUploadAbandoned: the daemon gave an upload up; Reason says why.
	EventUploadAbandoned EventKind = "upload.abandoned"
	// EventContentCorrupt: a block of the File's content does not match, and
	// the File is served no more until it is healed.
	EventContentCorrupt EventKind = "content.corrupt"
	// EventContentHealed: the same bytes were put again, or all of them read as
	// recorded again, and the File is served.
	EventContentHealed EventKind = "content.healed"
	// EventJobDead: a job of the daemon was tried for the last time.
	EventJobDead EventKind = "job.dead"
)

var eventKinds = [...]EventKind{
	EventFileCommitted, EventFileDeleted, EventFileExpired, EventUploadAbandoned,
	EventContentCorrupt, EventContentHealed, EventJobDead,
}

// EventKinds returns every kind there is, in order. The caller must not change
// it.
func EventKinds() []EventKind { return eventKinds[:] }

// CheckEventKinds refuses a list that is empty, or has a kind that does not
// exist or is there twice: KindBadRequest.
func CheckEventKinds(kinds []EventKind) error {
	words := make([]string, len(eventKinds))
	for i, k := range eventKinds {
		words[i] = string(k)
	}
	known := "Events are " + strings.Join(words, ", ") + "."
	if len(kinds) == 0 {
		return &Error{Kind: KindBadRequest, Message: "no kind of event is named", Hint: known}
	}
	for i, k := range kinds {
		switch {
		case !slices.Contains(eventKinds[:], k):
			e := Errorf(KindBadRequest, "there is no event %.40q", string(k))
			e.Hint = known
			return e
		case slices.Contains(kinds[:i], k):
			return Errorf(KindBadRequest, "the event %s is named twice", k)
		}
	}
	return nil
}

// The reasons of EventUploadAbandoned, and one of EventContentCorrupt.
const (
	// ReasonIdle: nobody sent a part for as long as an upload may rest.
	ReasonIdle = "idle"
	// ReasonExpired: the time that was given for the File was over before it
	// was committed.
	ReasonExpired = "expired"
	// ReasonStoreLost: the store in which its bytes lay is gone for good.
	ReasonStoreLost = "store_lost"
	// ReasonMD5Differs: the bytes of the File are sound, and have another MD5 than
	// who put it said.
	ReasonMD5Differs = "md5_differs"
)

// Event is one thing that happened, as webhooks send it.
type Event struct {
	Type EventKind `json:"type"`
	// Number is the event's place among all of the installation: it never goes
	// back, and of two events of one File the later has the higher.
	Number int64 `json:"number"`
	// Timestamp is when it happened.
	Timestamp Time      `json:"timestamp"`
	Data      EventData `json:"data"`
}

// EventData is what an event says of its File, as things were when it
// happened, or of a job. What does not apply is nil.
type EventData struct {
	// Owner is nil for what is nobody's.
	Owner *Owner  `json:"owner"`
	UID   *UID    `json:"uid"`
	Name  *string `json:"name"`
	Size  *int64  `json:"size"`
	// Digest is nil also while it is not known.
	Digest    *Digest   `json:"digest"`
	MediaType *string   `json:"media_type"`
	Reason    *string   `json:"reason"`
	Job       *EventJob `json:"job"`
}

// EventJob is the job that an event is about.
type EventJob struct {
	ID   JobID   `json:"id"`
	Kind JobKind `json:"kind"`
	// Attempts is how often it was tried, Error how it failed the last time.
	Attempts int    `json:"attempts"`
	Error    string `json:"error"`
}

// Encode is the event as it is sent: one line of JSON.
func (e Event) Encode() []byte {
	b, err := json.Marshal(e)
	if err != nil {
		panic(err) // it is made of texts and numbers
	}
	return b
}
