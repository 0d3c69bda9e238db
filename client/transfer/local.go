package transfer

import (
	"context"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"

	"github.com/osproxy/osproxy/protocol"
)

// local is a file of this machine that is being read. Hashing reads it at
// offsets through one descriptor; each part is sent through one of its own.
type local struct {
	path  string
	f     *os.File
	info  os.FileInfo
	stamp Stamp
	use   use
}

// use is what a local file is read for, as far as messages tell of it.
type use struct {
	// stream is the command that takes what is no regular file as a stream.
	stream string
	// spoiled is what a change while the file is read means; again is what to
	// do about it.
	spoiled, again string
}

func toSend() use {
	return use{stream: "osp put -", spoiled: "nothing was committed, what was sent is kept",
		again: "Put it again once nothing writes to it: only what differs is sent."}
}

func toCompare() use {
	return use{stream: "osp hash -", spoiled: "so what it was compared with says nothing", again: "Run the same command again once nothing writes to it."}
}

func toHash() use {
	return use{stream: "osp hash -", spoiled: "so it has no one hash", again: "Hash it again once nothing writes to it."}
}

// openLocal opens a regular file. It looks before it opens, since opening a
// pipe waits for whoever writes into it.
func openLocal(path string, use use) (*local, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, localError("open "+path, err)
	}
	switch {
	case info.IsDir():
		return nil, &protocol.Error{Kind: protocol.KindUsage, Message: path + " is a folder",
			Hint: "To put the files in it: osp put -r " + path}
	case !info.Mode().IsRegular():
		return nil, &protocol.Error{Kind: protocol.KindUsage, Message: path + " is not a regular file, so it has no size",
			Hint: "Take what it gives as a stream: " + use.stream + " < " + path}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, localError("open "+path, err)
	}
	l := &local{path: path, f: f, info: info, stamp: stampOf(info), use: use}
	if err := l.unchanged(); err != nil {
		f.Close()
		return nil, err
	}
	return l, nil
}

func (l *local) close() { l.f.Close() }

// open gives a descriptor of its own of the very same file.
func (l *local) open() (*os.File, error) {
	f, err := os.Open(l.path)
	if err != nil {
		return nil, l.readError(err)
	}
	info, err := f.Stat()
	if err == nil && !os.SameFile(info, l.info) {
		err = l.changed("it was replaced by another file")
	}
	if err != nil {
		f.Close()
		return nil, l.readError(err)
	}
	return f, nil
}

// unchanged is KindLocalChanged when the path no longer leads to the file as
// it was. That only its change time moved is not a change of content for sure;
// touched tells.
func (l *local) unchanged() error {
	now, err := l.look()
	switch {
	case err != nil:
		return err
	case now.Size != l.stamp.Size:
		return l.changed("its size changed")
	case !now.sameContent(l.stamp):
		return l.changed("it was written to")
	}
	return nil
}

// touched reports whether the change time moved while everything else stayed:
// by chmod or a new link, or by a write that put the old time back.
func (l *local) touched() bool {
	now, err := l.look()
	return err == nil && now.sameContent(l.stamp) && now != l.stamp
}

func (l *local) look() (Stamp, error) {
	info, err := os.Stat(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return Stamp{}, l.changed("it was removed")
	}
	if err != nil {
		return Stamp{}, localError("look at "+l.path, err)
	}
	if !os.SameFile(info, l.info) {
		return Stamp{}, l.changed("it was replaced by another file")
	}
	return stampOf(info), nil
}

func (l *local) changed(how string) error {
	return &protocol.Error{Kind: protocol.KindLocalChanged,
		Message: l.path + " changed while it was read (" + how + "); " + l.use.spoiled, Hint: l.use.again}
}

// readError words what reading the file met. Its early end is a change, and
// so is its disappearance.
func (l *local) readError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return l.changed("it became shorter")
	}
	if errors.Is(err, fs.ErrNotExist) {
		return l.changed("it was removed")
	}
	if _, ok := errors.AsType[*protocol.Error](err); ok {
		return err
	}
	return localError("read "+l.path, err)
}

// sum is the XXH3 of n bytes from off, read through buf.
func (l *local) sum(ctx context.Context, off, n int64, buf []byte) (protocol.XXH3, error) {
	var h protocol.XXH3Hasher
	if err := feed(ctx, &h, l.f, off, n, buf); err != nil {
		if ctx.Err() != nil {
			return protocol.XXH3{}, ctx.Err()
		}
		return protocol.XXH3{}, l.readError(err)
	}
	return h.Sum(), nil
}

// fingerprint reads at most one block.
func (l *local) fingerprint() (protocol.Fingerprint, error) {
	fp, err := protocol.FingerprintReader(l.f, l.stamp.Size)
	if err != nil {
		return fp, l.readError(err)
	}
	return fp, nil
}

// plain hashes the whole file in order, and tells done of what it has.
func (l *local) plain(ctx context.Context, h hash.Hash, done func(n int64)) error {
	err := sumPlain(ctx, h, l.f, l.stamp.Size, done)
	if err != nil && ctx.Err() == nil {
		err = l.readError(err)
	}
	return err
}

// digest hashes the whole file on all cores, and tells done of what it has.
func (l *local) digest(ctx context.Context, done func(n int64)) (protocol.Digest, error) {
	d, err := digestFile(ctx, l.f, l.stamp.Size, done)
	if err != nil && ctx.Err() == nil {
		err = l.readError(err)
	}
	return d, err
}
