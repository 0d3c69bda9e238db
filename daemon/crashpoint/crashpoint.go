// Package crashpoint names the steps at which a test build of ospd can be made
// to kill itself. In a shipped build (without build tag "crashpoints") a point
// is an empty function and no name of this package is in the binary.
package crashpoint

// Point is one named step.
type Point string

// The steps of a part, a commit, a one-shot put and a deletion, in order.
const (
	PartBlobNamed   Point = "part.blob-named"
	PartOpened      Point = "part.opened"
	PartHalfWritten Point = "part.half-written"
	PartWritten     Point = "part.written"
	PartRecorded    Point = "part.recorded"

	SyncDone    Point = "sync.done"
	SyncCleared Point = "sync.cleared"

	BeginRecorded Point = "begin.recorded"

	CommitChecked  Point = "commit.checked"
	CommitSynced   Point = "commit.synced"
	CommitRecorded Point = "commit.recorded"
	CutDone        Point = "cut.done"

	PutDirReserved Point = "put.dir-reserved"
	PutNamed       Point = "put.named"
	PutStored      Point = "put.stored"
	PutRecorded    Point = "put.recorded"

	DigestRead     Point = "digest.read"
	DigestRecorded Point = "digest.recorded"

	ScrubSaved Point = "scrub.saved"

	MigrateCopied   Point = "migrate.copied"
	MigrateVerified Point = "migrate.verified"
	MigrateFlipped  Point = "migrate.flipped"

	ComposeNamed    Point = "compose.named"
	ComposeBegun    Point = "compose.begun"
	ComposeRecorded Point = "compose.recorded"
	ComposeJoined   Point = "compose.joined"
	ComposeFlipped  Point = "compose.flipped"

	ImportListed   Point = "import.listed"
	ImportRecorded Point = "import.recorded"

	AbortRecorded  Point = "abort.recorded"
	DeleteRecorded Point = "delete.recorded"
)
