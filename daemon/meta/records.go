package meta

import (
	"crypto/md5"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// BlobID is the row of a blob.
type BlobID int64

// ContentID is the row of a content.
type ContentID int64

// BlobState is where a blob stands; it only moves forward.
type BlobState string

// The states of a blob. Doomed is terminal but for its end: the object is
// deleted after the grace period and the row stays as a tombstone (gone).
const (
	BlobWriting BlobState = "writing"
	BlobLive    BlobState = "live"
	BlobDoomed  BlobState = "doomed"
	BlobGone    BlobState = "gone"
)

// NewBlob names an object before it exists.
type NewBlob struct {
	Store string
	Key   string
	Size  int64
}

// Blob is one immutable object.
type Blob struct {
	ID BlobID
	NewBlob
	State  BlobState
	Origin BlobOrigin
	// Tag is that of the object, if it is not ospd's, when a file was made of it.
	Tag      string
	DoomedAt *time.Time
	GoneAt   *time.Time
	// ComposeID is what the storage calls the composition that makes it, or was
	// to make it; "" without one.
	ComposeID string
}

// BlobOrigin is where a blob's object comes from.
type BlobOrigin string

// The origins there are. An object that was in the storage before ospd knew of
// it is never deleted while it is foreign; one that was adopted is deleted as
// one's own.
const (
	OriginOwn     BlobOrigin = "own"
	OriginForeign BlobOrigin = "foreign"
	OriginAdopted BlobOrigin = "adopted"
)

// Extent is a piece of a blob; a content is an ordered list of them.
type Extent struct {
	Blob   BlobID
	Store  string
	Key    string
	Offset int64
	Length int64
	// XXH3 is of the extent's bytes where the content's digest is not known, and
	// so nothing of its blocks; nil where that is not known either.
	XXH3 *protocol.XXH3
	// Tag is the blob's: "" for an object of ours.
	Tag string
}

// FileFields are what a caller says of a file when it begins.
type FileFields struct {
	Owner     protocol.Owner
	Name      string
	MediaType *string
	Meta      map[string]string
	ExpiresAt *time.Time
	Imported
}

// Imported is what is known besides of a file that an import makes; the zero
// value is that of any other file.
type Imported struct {
	// From names the object that the file is made of, all storages together. Of
	// an owner one committed file at most is made of an object.
	From string
	// ModifiedAt is when the object was written last: the file's time of
	// creation.
	ModifiedAt time.Time
}

// NewUpload is an upload about to begin.
type NewUpload struct {
	FileFields
	UID         protocol.UID
	CreatedAt   time.Time
	Size        *int64
	PartSize    int64
	Fingerprint *protocol.Fingerprint
	// Maybe says that the caller was told that a claim may succeed.
	Maybe bool
	// Linked says that it is of a link that puts, to be used once. It is not read
	// back.
	Linked bool
	// InPlace is the blob the parts are assembled in, nil where the store
	// cannot assemble.
	InPlace *NewBlob
	// Chunks says that it is sent in chunks, each in a blob of its own.
	Chunks bool
	// Node is the upload's home, on whose disk its bytes come to lie: "" where
	// every node reaches them. It is never changed.
	Node NodeID
}

// Upload is an upload as recorded.
type Upload struct {
	NewUpload
	State protocol.UploadState
	// Blob is the row of InPlace, 0 without one (or once it was lost).
	Blob BlobID
	// Gen is raised by every change of the parts.
	Gen int64
	// Reserved is what the owner's quota was charged while Size is nil.
	Reserved  int64
	TouchedAt time.Time
	// Quiet is how long ago that was, by the clock of the database; OpenUploads
	// gives it.
	Quiet time.Duration
	// InOrder is where the MD5 of chunks stands.
	InOrder InOrder
	// File is set once committed.
	File *protocol.File
}

// NewPart is a part whose bytes lie in a blob.
type NewPart struct {
	Number     protocol.PartNumber
	Offset     int64
	Length     int64
	XXH3       protocol.XXH3
	Blocks     []protocol.Block
	Blob       BlobID
	BlobOffset int64
	// BootID is that of the machine while the bytes are not synced, "" after.
	BootID string
	// MD5 is that of a chunk, nil of a part.
	MD5 *[md5.Size]byte
}

// Part is a part as recorded.
type Part struct {
	NewPart
	// Gen is the upload's gen that recording this part made.
	Gen   int64
	Store string
	Key   string
}

// Commit turns an upload into a file on a content.
type Commit struct {
	Owner protocol.Owner
	UID   protocol.UID
	// Gen is the upload's gen at which Extents were read; another gen now is
	// ErrGenChanged.
	Gen         int64
	CommittedAt time.Time
	Size        int64
	// Digest is nil while unknown; then Blocks is empty.
	Digest      *protocol.Digest
	Fingerprint *protocol.Fingerprint
	ETag        string
	Blocks      []protocol.Block
	Extents     []Extent
	// From is the upload's Imported.From.
	From string
	// Said is the MD5 that the file has by the word of who put it, nil for none.
	Said *SaidMD5
	// Compose has the content's blobs joined into one by a job, where there are
	// more and its digest is known: their store can.
	Compose bool
}

// NewFile is a file that arrives whole.
type NewFile struct {
	FileFields
	UID         protocol.UID
	CommittedAt time.Time
	Size        int64
	Digest      protocol.Digest
	Fingerprint protocol.Fingerprint
	ETag        string
	Blocks      []protocol.Block
	// Blob holds the bytes already, durably; nil for an empty file. Named is its
	// row where AddBlob made one for the request, else it has none yet (its
	// directory is reserved).
	Blob  *NewBlob
	Named BlobID
}

// Idempotency makes a repeated request give the first one's answer.
type Idempotency struct {
	Key string
	// Request is the SHA-256 over the request's method, path, query, content
	// type and body hash.
	Request [32]byte
	// Answer is the body that was, or will be, answered.
	Answer []byte
	// Created says that the answer was, or will be, "created" (not "found").
	Created bool
	// UID is that of the file or upload the request made.
	UID protocol.UID
}

// Content is what a file points to, with where its bytes lie.
type Content struct {
	ID   ContentID
	Size int64
	// Digest is nil while unknown.
	Digest *protocol.Digest
	// State is ContentLive, ContentDamaged or, for fsck, ContentDoomed.
	State string
	// Gen is raised by every change of the extents.
	Gen     int64
	Extents []Extent
	// Refused says that the file by which the content was found has another MD5
	// than who put it said: by that file nothing is read.
	Refused bool
}

// FileQuery selects a page of files, newest first.
type FileQuery struct {
	// Limit is 1 to 1,000.
	Limit int
	// Before is the uid of the last file of the page before, 0 for the first.
	Before protocol.UID
	// Name is the whole name, Prefix the beginning of one; "" is any.
	Name   string
	Prefix string
	// Digest is that of the content, nil for any.
	Digest *protocol.Digest
}

// FilePatch changes what is given: a nil field stays, a non-nil pointer to
// nil is cleared.
type FilePatch struct {
	Name      *string
	MediaType **string
	Meta      *map[string]string
	// Labels sets keys of the meta that there is, or removes those whose value is
	// nil; what is more than meta may be is KindBadRequest.
	Labels    map[string]*string
	ExpiresAt **time.Time
}
