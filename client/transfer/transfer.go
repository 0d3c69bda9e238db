// Package transfer moves files between this machine and a daemon: it plans
// parts and ranges, works on them in parallel under one budget of connections,
// remembers on disk what it needs to resume, and verifies what it moved. It
// prints nothing: callers watch Progress and read Results.
package transfer

import (
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// Outcome is how one item ended, as a word of WIRE 12.
type Outcome string

// The outcomes.
const (
	Uploaded        Outcome = "uploaded"
	Instant         Outcome = "instant"
	Resumed         Outcome = "resumed"
	Restarted       Outcome = "restarted"
	Downloaded      Outcome = "downloaded"
	AlreadyComplete Outcome = "already_complete"
	Deleted         Outcome = "deleted"
	Skipped         Outcome = "skipped"
	Failed          Outcome = "failed"
)

// Result is what became of one item. On failure as much of it as is known is
// filled in, and the error says the rest.
type Result struct {
	Path   string
	UID    protocol.UID
	Name   string
	Size   int64
	Digest *protocol.Digest
	// SHA256 and MD5 are the plain hashes where they were asked for, "" where
	// they were not.
	SHA256, MD5 string
	Outcome     Outcome
	// SentBytes are payload bytes of this run's requests, retries included
	// (for a get: bytes received); ResumedBytes were found held already;
	// InstantBytes were claimed: known to the daemon, and proven to be here.
	SentBytes    int64
	ResumedBytes int64
	InstantBytes int64
	// ClaimRefused says that the daemon may have known the content, but did
	// not take the claim, so that the bytes were sent.
	ClaimRefused bool
	// Verified: put, every part's XXH3 was checked by the daemon and
	// parts_xxh3 agreed, or the claim was accepted; get, every block matched
	// its digest.
	Verified bool
	Retries  int
	Elapsed  time.Duration
	// Would is what the outcome would be, of what was only looked at; else "".
	Would Outcome
	// Transfer is the id under which this transfer can be resumed, "" when
	// nothing is kept on disk for it.
	Transfer ID
}

// PutRequest is one file to upload.
type PutRequest struct {
	Path string
	// Name is what the daemon stores; "" means the last element of Path.
	Name      string
	MediaType string
	Meta      map[string]string
	ExpiresAt *protocol.Time
	// Hint is what Survey found out about the file, nil for nothing.
	Hint *Hint
	// SHA256 asks for the plain SHA-256 of what is put, for the Result. It is
	// hashed in order on one core, beside the parts.
	SHA256 bool
	// Once makes this a put of which all tries together make one File; nil
	// looks for an earlier try by path and name only.
	Once *Once
}

// Once is what a caller keeps of a put from one try to the next, so that a try
// whose end nobody saw is not made a second time. It is for a caller that
// remembers more than the path: two puts of one path are told apart by it.
type Once struct {
	// Key is the Idempotency-Key of the request that makes the File, or begins
	// the upload; it is good for 24 h. Where it was used for other bytes before,
	// since the file changed between two tries, the put is KindConflict.
	Key string
	// UID is the upload that an earlier try began, 0 for none. Where it became
	// a File with other content than the file has now, the put is KindConflict.
	UID protocol.UID
	// Begun is told of the upload before the first byte of it is sent. Its
	// error ends the put.
	Begun func(protocol.UID) error
}

// IfExists says what Get does about an existing target that differs.
type IfExists string

// What to do with an existing target. The same content is always complete.
const (
	ExistsFail      IfExists = "fail"
	ExistsOverwrite IfExists = "overwrite"
	ExistsSkip      IfExists = "skip"
)

// GetRequest is one file to download.
type GetRequest struct {
	UID protocol.UID
	// Path is the target file, or a folder to put it in under its stored
	// name; "" is the current folder.
	Path string
	// In is where the File goes instead, under its whole stored name; Path is
	// then not looked at.
	In *Tree
	// File is what a list said of it, where there is one: it is then not asked
	// for.
	File     *protocol.File
	IfExists IfExists
	// NoVerify leaves blocks unchecked (Result.Verified is then false).
	NoVerify bool
	// SHA256 is the plain SHA-256 that the content must have, 64 lower-case hex
	// digits, "" for any: content with another is KindIntegrity, and no target
	// is made.
	SHA256 string
	// Place orders gets that run at once and may have one target; nil where
	// none has.
	Place *Place
}

// CatRequest is one file to write to a stream. Its fields are as those of
// GetRequest.
type CatRequest struct {
	UID      protocol.UID
	NoVerify bool
	SHA256   string
}
