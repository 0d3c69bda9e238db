package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/osproxy/osproxy/client"
	"github.com/osproxy/osproxy/protocol"
)

// put is one run of one put. Its methods are in the order they are called in:
// here what all puts share, in attach.go what is known of an earlier run, in
// claim.go the way without bytes, in upload.go the one with them, in stream.go
// the put of a stream.
type put struct {
	e     *Engine
	req   PutRequest
	local *local // nil for a stream
	size  int64
	caps  protocol.Capabilities
	begun time.Time
	item  *item
	tries tries
	sent  atomic.Int64
	// useful are the bytes of part requests that were answered well since
	// the upload began or was found.
	useful atomic.Int64
	res    Result

	// lease and record are nil while nothing is on disk.
	lease  *lease
	record *Transfer
	// key is the idempotency key to use, "" for one of this run.
	key string
	// fresh says that no other upload is to be found by begin, fixed that
	// there is to be no other upload: the caller named this one.
	fresh, fixed bool
	up           protocol.Upload // UID 0: not begun
	taken        bool            // up was begun by an earlier run
	// leave lets the next file that may be equal have its turn; nil before this
	// one had its own.
	leave func()
	// whole is the digest of the file as it was last hashed.
	whole *protocol.Digest
	// beside is the SHA-256 of the whole file, nil where none is wanted.
	beside *sumBeside
	// sums are the XXH3 of the parts as this machine has them, by number.
	sums   []protocol.XXH3
	warned bool
}

// Put uploads one regular file and commits it. A put of the same path and
// name that did not end is continued: only parts that the daemon does not
// hold, or that differ, are sent. While another osp is on it, this one makes a
// File of its own. Content that the daemon has of this owner already is claimed
// instead of sent (Instant), unless one request carries the whole file.
//
// A file that changes while it is read is KindLocalChanged and nothing is
// committed. An error that time may mend carries as its hint the command that
// continues.
func (e *Engine) Put(ctx context.Context, req PutRequest) (Result, error) {
	p, err := e.newPut(req)
	if err != nil {
		return p.conclude(ctx, err)
	}
	defer p.local.close()
	return p.conclude(ctx, p.run(ctx, p.attach))
}

// newPut opens the file. The put it returns with an error has a result only.
func (e *Engine) newPut(req PutRequest) (*put, error) {
	p := &put{e: e, req: req, begun: time.Now(), item: e.cfg.Progress.begin(), res: Result{Path: req.Path, Outcome: Failed}}
	if p.req.Name == "" {
		p.req.Name = filepath.Base(req.Path)
	}
	p.res.Name = p.req.Name
	p.item.called(p.req.Name)
	if err := protocol.CheckName(p.req.Name); err != nil {
		return p, err
	}
	l, err := openLocal(req.Path, toSend())
	if err != nil {
		return p, err
	}
	p.local, p.size, p.res.Size = l, l.stamp.Size, l.stamp.Size
	p.item.grow(p.size)
	return p, nil
}

// run moves the file, after attach has looked for an earlier run.
func (p *put) run(ctx context.Context, attach func(context.Context) error) (err error) {
	if p.caps, err = p.e.capabilities(ctx, &p.tries); err != nil {
		return err
	}
	p.res.Outcome = Uploaded
	if err := attach(ctx); err != nil {
		return err
	}
	if p.up.UID == 0 && p.small() {
		return p.oneShot(ctx)
	}
	return p.upload(ctx)
}

// small: one request carries the whole file.
func (p *put) small() bool { return small(p.size, p.caps) }

func small(size int64, caps protocol.Capabilities) bool {
	return size <= min(caps.OneShotMax, protocol.OneShotMax)
}

// oneShot puts a small file in a single request. It leaves nothing to resume.
func (p *put) oneShot(ctx context.Context) error {
	data := make([]byte, p.size)
	if _, err := p.local.f.ReadAt(data, 0); err != nil && err != io.EOF {
		return p.local.readError(err)
	}
	if err := p.local.unchanged(); err != nil {
		return err
	}
	f, err := p.putBytes(ctx, data)
	if err != nil {
		return err
	}
	if p.req.SHA256 {
		sum := sha256.Sum256(data)
		p.res.SHA256 = hex.EncodeToString(sum[:])
	}
	p.committed(f)
	return p.forget()
}

// putBytes is POST /v1/files, with one idempotency key for all tries.
func (p *put) putBytes(ctx context.Context, data []byte) (f protocol.File, err error) {
	sum, key := protocol.SumXXH3(data), p.newKey()
	file := client.NewFile{Name: p.req.Name, MediaType: p.req.MediaType, Meta: p.req.Meta, ExpiresAt: p.req.ExpiresAt}
	err = p.e.retry(ctx, &p.tries, func(ctx context.Context) (err error) {
		b := newMemBody(data)
		end := p.item.watch(b.sent)
		f, err = p.e.cfg.Client.PutFile(ctx, file, b, int64(len(data)), sum, key)
		n := b.sent()
		p.sent.Add(n)
		end(n, err == nil)
		return err
	})
	if err != nil {
		return f, p.keyUsed(err)
	}
	if f.Size != int64(len(data)) {
		err = protocol.Errorf(protocol.KindIntegrity, "the daemon stored %d bytes of %d", f.Size, len(data))
	}
	return f, err
}

// committed takes over what became of it.
func (p *put) committed(f protocol.File) {
	p.res.UID, p.res.Name, p.res.Size, p.res.Digest = f.UID, f.Name, f.Size, f.Digest
	p.res.Verified = true
}

// conclude turns the run's end into its result. A transfer that failed keeps
// its file on disk, with why.
func (p *put) conclude(ctx context.Context, err error) (Result, error) {
	p.passTurn()
	p.req.Hint.settled(p.e.cfg.Progress)
	p.item.end(err == nil)
	p.res.SentBytes = p.sent.Load()
	p.res.Retries = p.tries.count()
	p.res.Elapsed = time.Since(p.begun)
	if p.up.UID != 0 && p.res.UID == 0 {
		p.res.UID = p.up.UID
	}
	if err == nil {
		p.lease.release()
		return p.res, nil
	}
	p.res.Outcome = Failed
	p.res.Transfer, err = failed(ctx, p.lease, p.record, err)
	return p.res, err
}
