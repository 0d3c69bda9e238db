package meta

import (
	"encoding/json"
	"math"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// Event is one thing that happened, with its number.
type Event struct {
	Number int64
	Kind   protocol.EventKind
	At     time.Time
	// Owner is "" for what is nobody's, UID 0 for what is about no file.
	Owner protocol.Owner
	UID   protocol.UID
	// Name and MediaType are the file's, as they were.
	Name      *string
	MediaType *string
	// Size and Digest are the content's, nil where it is not known or none.
	Size   *int64
	Digest *protocol.Digest
	// Reason is why an upload was abandoned, or a file is not read.
	Reason *string
	Job    *protocol.EventJob
}

// Message is the event as the wire has it.
func (e Event) Message() protocol.Event {
	m := protocol.Event{Type: e.Kind, Number: e.Number, Timestamp: protocol.TimeOf(e.At), Data: protocol.EventData{
		Name: e.Name, Size: e.Size, Digest: e.Digest, MediaType: e.MediaType, Reason: e.Reason, Job: e.Job,
	}}
	if e.Owner != "" {
		m.Data.Owner = &e.Owner
	}
	if e.UID != 0 {
		m.Data.UID = &e.UID
	}
	return m
}

// eventDetail is what of an event has no column.
type eventDetail struct {
	Reason *string            `json:"reason,omitempty"`
	Job    *protocol.EventJob `json:"job,omitempty"`
}

func (d eventDetail) encode() (*string, error) {
	if d == (eventDetail{}) {
		return nil, nil
	}
	b, err := json.Marshal(d)
	s := string(b)
	return &s, err
}

// emission is an event in the making, of a file whose row is there.
type emission struct {
	kind   protocol.EventKind
	uid    protocol.UID
	size   *int64
	digest []byte
	detail eventDetail
}

// Events are made in the transaction that makes them true, by its last
// statements: then it holds every lock that it takes, so that of two events of
// one file, made by two transactions, the later has the higher id, and one that
// is not true any more is not made.

// emit makes an event of a file.
func (t *tx) emit(e emission) error {
	detail, err := e.detail.encode()
	if err != nil {
		return err
	}
	t.emitted = true
	_, err = t.exec(`INSERT INTO outbox (kind, owner, uid, name, media_type, size, digest, detail, created_at)
		SELECT ?, f.owner, f.uid, f.name, f.media_type, ?, ?, ?, ? FROM files f WHERE f.uid = ?`,
		string(e.kind), e.size, e.digest, detail, t.now, int64(e.uid))
	return err
}

// emitCommitted makes the event of a file that was committed.
func (t *tx) emitCommitted(f protocol.File) error {
	return t.emit(emission{kind: protocol.EventFileCommitted, uid: f.UID, size: &f.Size, digest: encodeHash(f.Digest)})
}

// eventsInline is for how many files of a content one transaction makes events
// itself.
const eventsInline = 256

const (
	allFiles = math.MaxInt32
	// eventFiles are the columns of an event of a content's file, and fileOrder
	// the order in which contents are gone through.
	// A file that is not read for its MD5 is not among them: nothing changes of that.
	eventFiles  = `f.owner, f.uid, f.name, f.media_type, c.size, c.digest`
	eventSource = ` FROM files f JOIN contents c ON c.id = f.content_id WHERE f.content_id = ? AND f.state = 'committed' AND COALESCE(f.md5_agrees, 1) = 1 `
	fileOrder   = ` ORDER BY f.owner, f.uid LIMIT ?`
)

// emitContent makes an event for each file of a content whose row is locked.
// Those of more than limit files are left to the numbering, which finds the
// files that the content has then, but for those that came later: newcomer, 0
// for none, is the file whose bytes this is about.
func (t *tx) emitContent(kind protocol.EventKind, id ContentID, newcomer protocol.UID, limit int64) error {
	t.emitted = true
	n, err := t.exec(`INSERT INTO outbox (kind, owner, uid, name, media_type, size, digest, created_at)
		SELECT ?, `+eventFiles+`, ?`+eventSource+fileOrder, string(kind), t.now, id, limit)
	if err != nil || n < limit {
		return err
	}
	_, err = t.exec(`INSERT INTO outbox (kind, owner, uid, created_at, content_id, after_owner, after_uid)
		SELECT ?, '', ?, ?, f.content_id, f.owner, f.uid`+eventSource+fileOrder+` OFFSET ?`, string(kind), int64(newcomer), t.now, id, 1, limit-1)
	return err
}

// word is given once, however often before it is taken.
type word chan struct{}

func (w word) raise() {
	select {
	case w <- struct{}{}:
	default:
	}
}

// Emitted has word after events were made by this process: NumberEvents has
// something to do.
func (db *DB) Emitted() <-chan struct{} { return db.emitted }
