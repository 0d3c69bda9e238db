// Package intake makes files of objects that were there before ospd knew of
// them: where they lie, when that is a configured store, or as copies. (It is
// the import, which is a word that Go keeps for itself.)
//
// An import is a job that goes through the names in order, a page at a time.
// What became of a page is recorded in one transaction with where to go on, so
// that one that is killed goes on at that page; and of an owner and an object
// one file at most is made, so that one that is repeated makes each once.
package intake

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/once"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// Records is what a Worker needs of the metadata; meta.DB is the one.
type Records interface {
	ImportedFiles(ctx context.Context, owner protocol.Owner, from []string) (map[string]meta.ImportedFile, error)
	LetGoImported(ctx context.Context, owner protocol.Owner, uids []protocol.UID) error
	RecordImport(ctx context.Context, job protocol.JobID, first int64, entries []meta.ImportEntry, checkpoint json.RawMessage) ([]meta.ImportEntry, error)
}

// Uploads make the files of copies; upload.Service is the one.
type Uploads interface {
	PutFile(ctx context.Context, owner protocol.Owner, f upload.NewFile, req *once.Request) (once.Reply, error)
	BeginImported(ctx context.Context, owner protocol.Owner, b protocol.BeginUpload, from meta.Imported, req *once.Request) (once.Reply, error)
	Upload(ctx context.Context, owner protocol.Owner, uid protocol.UID) (protocol.Upload, error)
	PutPart(ctx context.Context, owner protocol.Owner, uid protocol.UID, n protocol.PartNumber, body upload.Body) (protocol.Part, error)
	Commit(ctx context.Context, owner protocol.Owner, uid protocol.UID, c protocol.CommitUpload) (protocol.File, bool, error)
	Abort(ctx context.Context, owner protocol.Owner, uid protocol.UID) error
}

// Minter gives uids; meta.Minter is the one.
type Minter interface {
	Next(ctx context.Context) (protocol.UID, error)
}

// Config is what a Worker needs.
type Config struct {
	Meta    Records
	Uploads Uploads
	Minter  Minter
	Stores  map[string]*store.Store
	// Folders are those of the local stores, by name.
	Folders map[string]string
	// Others says, by store, what begins the names of other stores' objects in its
	// bucket.
	Others map[string][]string
	// Data is the daemon's own folder.
	Data string
	// Node is this one, where the database may have others: their folders have the
	// same paths. It is "" where nobody else can have the database.
	Node meta.NodeID
	// Peers: there may be other nodes, with stores that this one does not have.
	Peers bool
	// Committed is told that files were committed. It may be nil.
	Committed func()
	Now       func() time.Time
	Logger    *slog.Logger
}

// Worker does imports. Its methods are safe for concurrent use.
type Worker struct {
	cfg Config
	log *slog.Logger
}

// New makes a Worker.
func New(cfg Config) *Worker {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Committed == nil {
		cfg.Committed = func() {}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return &Worker{cfg: cfg, log: cfg.Logger}
}

// Args are those of the job.
type Args struct {
	// Source is s3:NAME/PREFIX, the foreign objects of a store whose name begins
	// so, or dir:PATH, the files in a folder.
	Source string `json:"source"`
	// InPlace has the files' bytes stay where they are; else they are copied.
	InPlace bool `json:"in_place"`
	// Adopt has the objects be ospd's own from then on: each is deleted with the
	// last file that is made of it.
	Adopt bool `json:"adopt"`
	// Owner is whose the files are: the caller's where none is given.
	Owner protocol.Owner `json:"owner"`
}

// Request makes the job of a caller who runs the installation.
func (w *Worker) Request(_ context.Context, caller job.Caller, args json.RawMessage) (n meta.NewJob, err error) {
	var a Args
	if err := job.ParseArgs(args, &a); err != nil {
		return n, err
	}
	if !caller.All {
		return n, &protocol.Error{Kind: protocol.KindForbidden, Message: "only who runs the installation may import; nothing was done",
			Hint: "Ask for a token with the scope admin."}
	}
	if a.Owner == "" {
		a.Owner = caller.Owner
	}
	if err := protocol.CheckOwner(a.Owner); err != nil {
		return n, err
	}
	if a.Adopt && !a.InPlace {
		return n, refused("a copy is ospd's own already: adopt goes with in_place only", "Give both, or neither.")
	}
	src, err := w.open(a)
	if err != nil {
		return n, err
	}
	if err := src.close(); err != nil {
		return n, err
	}
	text, err := json.Marshal(a)
	n = meta.NewJob{Kind: protocol.JobImport, Args: text, Subject: string(text)}
	if w.cfg.Node != "" && src.folder {
		n.Node = string(w.cfg.Node)
		n.Subject += " on node " + n.Node
	}
	return n, err
}
