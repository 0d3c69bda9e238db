// Package file is the read side of the daemon: what a File is, and its bytes.
//
// It answers for every block: before the first byte of a block leaves, the
// block matched what was recorded of it when it came in. Service is the front
// door; Content (content.go) is a File's bytes for one request, verify.go how
// a block is checked, BlockList (blocks.go) its block digests. What is read of a
// content for no File is in sample.go, for claims, and through.go, for jobs.
package file

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/osproxy/osproxy/daemon/crashpoint"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// VerifyMode is when a block is checked before it is served (verify_reads).
type VerifyMode string

// The modes. In all of them a missing blob and a short read are errors.
const (
	// VerifyAlways checks each block in each request.
	VerifyAlways VerifyMode = "always"
	// VerifyFirst remembers a block that passed for 10 minutes.
	VerifyFirst VerifyMode = "first"
	// VerifyOff serves what the store gives.
	VerifyOff VerifyMode = "off"
)

// Corruption is told to whoever counts them, and is never sent to a caller.
type Corruption struct {
	// UID is the File that was read, 0 where a content was read for none.
	UID   protocol.UID
	Block int64
	// Err is what was found.
	Err error
}

// Records is what the read side needs of the metadata; meta.DB is the one.
type Records interface {
	File(ctx context.Context, owner protocol.Owner, uid protocol.UID) (protocol.File, error)
	Files(ctx context.Context, owner protocol.Owner, q meta.FileQuery) ([]protocol.File, error)
	PatchFile(ctx context.Context, owner protocol.Owner, uid protocol.UID, p meta.FilePatch) (protocol.File, error)
	ImageSize(ctx context.Context, owner protocol.Owner, uid protocol.UID) (width, height int, err error)
	Said(ctx context.Context, owner protocol.Owner, uid protocol.UID) (*[md5.Size]byte, error)
	DeleteFile(ctx context.Context, owner protocol.Owner, uid protocol.UID) error
	Content(ctx context.Context, owner protocol.Owner, uid protocol.UID) (protocol.File, meta.Content, error)
	ContentOf(ctx context.Context, id meta.ContentID) (meta.Content, error)
	Extents(ctx context.Context, id meta.ContentID) (extents []meta.Extent, gen int64, err error)
	Blocks(ctx context.Context, id meta.ContentID, first, n int64) ([]protocol.Block, error)
	MarkDamaged(ctx context.Context, id meta.ContentID, gen int64) error
}

// Config is what a Service is made of.
type Config struct {
	// Meta holds the records, Stores, by name, the blobs they speak of.
	Meta   Records
	Stores map[string]*store.Store
	// Verify is VerifyFirst when empty.
	Verify VerifyMode
	// Clock is time.Now when nil.
	Clock func() time.Time
	// Logger is slog.Default() when nil.
	Logger *slog.Logger
	// Corrupt is called for each integrity failure found. It must be safe for
	// concurrent use. Nil is allowed.
	Corrupt func(Corruption)
	// ReadAhead is how many bytes of all requests together are read from stores
	// that are not files before their turn, 32 MiB when 0; below there is no
	// reading ahead.
	ReadAhead int64
}

// Service answers questions about Files. It is safe for concurrent use and
// starts nothing that outlives a Content.
type Service struct {
	cfg  Config
	seen *seen
	// records are those of the blocks of contents that were read lately.
	records *records
	smalls  *smalls
	// buffers are what blocks are read into: *[readSize]byte, of stores that are not
	// files small ones: *[storeReadSize]byte.
	buffers, pieces sync.Pool
	// blocks are what a whole block is read into: *[]byte of its capacity.
	blocks sync.Pool
	budget budget
}

// New makes a Service.
func New(cfg Config) *Service {
	if cfg.Verify == "" {
		cfg.Verify = VerifyFirst
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Corrupt == nil {
		cfg.Corrupt = func(Corruption) {}
	}
	if cfg.ReadAhead == 0 {
		cfg.ReadAhead = aheadBudget
	}
	s := &Service{cfg: cfg, seen: newSeen(cfg.Clock), records: newRecords(), smalls: newSmalls(),
		buffers: sync.Pool{New: func() any { return new([readSize]byte) }},
		pieces:  sync.Pool{New: func() any { return new([storeReadSize]byte) }},
		blocks: sync.Pool{New: func() any {
			b := make([]byte, 0, protocol.BlockSize)
			return &b
		}},
	}
	s.budget = budget{free: semaphore.NewWeighted(max(cfg.ReadAhead, 0)), blocks: &s.blocks}
	return s
}

// File is the File uid of owner. KindNotFound: there is none, or it is another
// owner's, not committed, deleted or expired. All other methods that take a
// uid say the same.
func (s *Service) File(ctx context.Context, owner protocol.Owner, uid protocol.UID) (protocol.File, error) {
	return s.cfg.Meta.File(ctx, owner, uid)
}

// ImageSize is the size of the image that the File uid is, 0 of what is none and
// where it is not known yet.
func (s *Service) ImageSize(ctx context.Context, owner protocol.Owner, uid protocol.UID) (width, height int, err error) {
	return s.cfg.Meta.ImageSize(ctx, owner, uid)
}

// SaidMD5 is the MD5 of the File uid by the word of who put it, in hexadecimal
// digits, and "" where there was none. Where its bytes turn out to have another
// one it is not read.
func (s *Service) SaidMD5(ctx context.Context, owner protocol.Owner, uid protocol.UID) (string, error) {
	said, err := s.cfg.Meta.Said(ctx, owner, uid)
	if err != nil || said == nil {
		return "", err
	}
	return hex.EncodeToString(said[:]), nil
}

// Delete removes the File uid. Its bytes are freed once nothing else needs
// them.
func (s *Service) Delete(ctx context.Context, owner protocol.Owner, uid protocol.UID) error {
	if err := s.cfg.Meta.DeleteFile(ctx, owner, uid); err != nil {
		return err
	}
	crashpoint.Hit(crashpoint.DeleteRecorded)
	return nil
}
