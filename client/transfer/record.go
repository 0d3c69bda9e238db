package transfer

import (
	"fmt"

	"github.com/oklog/ulid/v2"

	"github.com/osproxy/osproxy/protocol"
)

// ID names a Transfer on this machine: a ULID.
type ID string

func newID() ID { return ID(ulid.Make().String()) }

// ParseID reads a ULID; anything else is KindUsage.
func ParseID(s string) (ID, error) {
	id, err := ulid.ParseStrict(s)
	if err != nil || id.String() != s {
		return "", protocol.Errorf(protocol.KindUsage, "%.40q is not the id of a transfer", s)
	}
	return ID(s), nil
}

// Direction says what a Transfer is.
type Direction string

// The directions.
const (
	DirectionPut Direction = "put"
	DirectionGet Direction = "get"
)

// recordVersion is the version of Transfer's form on disk. A reader keeps
// reading older ones and leaves newer ones alone.
const recordVersion = 1

// Transfer is one put or get as osp remembers it on disk, to resume it. It
// says which upload belongs to which path; which parts are held is the
// daemon's to say, or the part file's. It never holds a secret.
type Transfer struct {
	V       int           `json:"v"`
	ID      ID            `json:"id"`
	Kind    Direction     `json:"kind"`
	Created protocol.Time `json:"created"`
	Updated protocol.Time `json:"updated"`
	// ServerID is the daemon's own, whatever address it has; Server is the
	// address it had.
	ServerID string       `json:"server_id"`
	Server   string       `json:"server"`
	UID      protocol.UID `json:"uid"`
	// Path is absolute: the file that is sent, or the file that will be there
	// when a get is done.
	Path string `json:"path"`
	// Name and Size are the File's.
	Name string `json:"name"`
	Size int64  `json:"size"`
	// Stamp is of the local file of a put when the transfer began.
	Stamp *Stamp `json:"stamp"`
	// Target is the file a get writes into until it is complete.
	Target string `json:"target,omitempty"`
	// Below is the folder that Path must not lead out of, whatever has become
	// of what lies between, "" without one.
	Below string `json:"below,omitempty"`
	// What a put gives the File, should it have to begin anew.
	MediaType string            `json:"media_type,omitempty"`
	Meta      map[string]string `json:"meta,omitempty"`
	ExpiresAt *protocol.Time    `json:"expires_at,omitempty"`
	// What a get was asked to do.
	IfExists IfExists `json:"if_exists,omitempty"`
	NoVerify bool     `json:"no_verify,omitempty"`
	SHA256   string   `json:"sha256,omitempty"`
	// Attempts counts the runs.
	Attempts  int        `json:"attempts"`
	LastError *LastError `json:"last_error"`
}

// LastError is how the last run ended.
type LastError struct {
	Code protocol.Kind `json:"code"`
	At   protocol.Time `json:"at"`
}

// Command is what continues the transfer when typed. Options that name the
// server are not part of it.
func (t Transfer) Command() string { return resumeCommand(t.ID) }

func resumeCommand(id ID) string { return "osp resume " + string(id) }

// check refuses a record that was read from disk and cannot be worked with.
func (t Transfer) check(id ID) error {
	switch {
	case t.V < 1:
		return fmt.Errorf("it has no version")
	case t.V > recordVersion:
		return fmt.Errorf("it has version %d, this osp knows up to %d", t.V, recordVersion)
	case t.ID != id:
		return fmt.Errorf("it calls itself %.40q", string(t.ID))
	case t.Kind != DirectionPut && t.Kind != DirectionGet:
		return fmt.Errorf("it is neither a put nor a get but %.40q", string(t.Kind))
	case t.UID == 0 || t.Path == "" || t.ServerID == "" || t.Size < 0:
		return fmt.Errorf("its uid, path, server_id or size is missing")
	case t.Kind == DirectionGet && t.Target == "":
		return fmt.Errorf("its target is missing")
	}
	return nil
}
