package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/osproxy/osproxy/protocol"
)

// streamName is the name of what comes without one.
const streamName = "stdin"

// cleanupTime bounds what is still done after the context has ended.
const cleanupTime = 500 * time.Millisecond

// PutStream uploads what r gives until it ends, under req.Name ("stdin" where
// that is empty). It holds at most one part for each of the file's connections
// in memory, and cannot be resumed: on an error the upload is aborted, and where
// that finds it committed, with this very content, the put has succeeded after
// all. The Result of a failure has a UID where there may be a File. When it
// fails while r blocks in Read, that Read is left behind until it returns.
func (e *Engine) PutStream(ctx context.Context, r io.Reader, req PutRequest) (Result, error) {
	p := &put{e: e, req: req, begun: time.Now(), item: e.cfg.Progress.begin(), res: Result{Path: req.Path, Outcome: Uploaded}}
	if p.req.Name == "" {
		p.req.Name = streamName
	}
	p.res.Name = p.req.Name
	p.item.called(p.req.Name)
	err := protocol.CheckName(p.req.Name)
	sum := sha256.New()
	if req.SHA256 {
		r = io.TeeReader(r, sum)
	}
	if err == nil {
		err = p.stream(ctx, r)
	}
	if err == nil && req.SHA256 {
		p.res.SHA256 = hexOf(sum)
	}
	return p.conclude(ctx, err)
}

// stream takes the first bytes to see whether one request will do.
func (p *put) stream(ctx context.Context, r io.Reader) (err error) {
	if p.caps, err = p.e.capabilities(ctx, &p.tries); err != nil {
		return err
	}
	s := &source{r: r, spoiled: "nothing was committed"}
	head := make([]byte, min(p.caps.OneShotMax, protocol.OneShotMax)+1)
	n, err := s.fillWithin(ctx, head)
	if err == io.EOF && n < len(head) {
		p.item.grow(int64(n))
		f, err := p.putBytes(ctx, head[:n])
		if err == nil {
			p.committed(f)
		}
		return err
	}
	if err != nil && err != io.EOF {
		return err
	}
	s.r = io.MultiReader(bytes.NewReader(head[:n]), r)
	return p.streamParts(ctx, s)
}

// streamParts begins an upload of unknown size, sends parts as they fill, and
// commits with the size and the digest that came out.
func (p *put) streamParts(ctx context.Context, s *source) (err error) {
	b := protocol.BeginUpload{Name: p.req.Name, Meta: p.req.Meta, ExpiresAt: p.req.ExpiresAt}
	if p.req.MediaType != "" {
		b.MediaType = &p.req.MediaType
	}
	if p.up, _, err = p.e.begin(ctx, &p.tries, b, p.newKey()); err != nil {
		return err
	}
	all := &streamed{}
	defer func() {
		if err != nil {
			err = p.abort(ctx, all, err)
		}
	}()
	layout := protocol.Layout{Size: protocol.SizeUnknown, PartSize: p.up.PartSize}
	if err := layout.Check(); err != nil {
		return err
	}
	if err := p.pump(ctx, s, all); err != nil {
		return err
	}
	return p.commitStream(ctx, all)
}

// abort gives up the upload of a stream that failed because of why, within a
// short time of its own. It returns what the put ends with: why, unless the
// daemon says that the commit, whose answer was lost, did take effect.
func (p *put) abort(ctx context.Context, all *streamed, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	err := p.e.cfg.Client.AbortUpload(ctx, p.up.UID)
	switch {
	case isKind(err, protocol.KindCommitted):
		return p.settleStream(ctx, all, why)
	case err == nil || isKind(err, protocol.KindNotFound) || all.digest == nil:
		// What cannot be aborted now, the daemon abandons later.
		p.up = protocol.Upload{}
	}
	// Else there may be a File: the result names its uid.
	return why
}

// settleStream decides whether the File that the upload has become is the
// stream. Where it is not, or that cannot be told, the result names its uid.
func (p *put) settleStream(ctx context.Context, all *streamed, why error) error {
	uid := p.up.UID
	if all.digest == nil {
		return &protocol.Error{Kind: protocol.KindConflict, UID: uid, Err: why,
			Message: fmt.Sprintf("%s was committed by another writer before the stream was sent", uid)}
	}
	up, err := p.getUpload(ctx, uid)
	switch {
	case err != nil || up.File == nil:
		return &protocol.Error{Kind: protocol.KindOf(why), UID: uid, Err: errors.Join(why, err),
			Message: fmt.Sprintf("%s is committed, but whether it is what was read could not be asked", uid)}
	case up.File.Digest == nil:
		return &protocol.Error{Kind: protocol.KindDigestPending, UID: uid, Err: why,
			Message: fmt.Sprintf("%s is committed, and its digest is not known yet, so whether it is what was read cannot be said", uid)}
	case up.File.Size != all.size || *up.File.Digest != *all.digest:
		return otherContent(uid)
	}
	p.committed(*up.File)
	return nil
}

func otherContent(uid protocol.UID) error {
	return protocol.Errorf(protocol.KindConflict, "%s was committed with other content than was read", uid)
}

// streamed is what is known of the parts so far, by number from 1. The list is
// filled by pump, each part by the goroutine that sends it.
type streamed struct {
	size  int64
	parts []*streamPart
	// digest is that of the whole, nil until it is to be committed.
	digest *protocol.Digest
}

type streamPart struct {
	sum    protocol.XXH3
	blocks []protocol.Block
}

// pump reads part after part and sends them in parallel, each buffer being
// filled again once its request is over.
func (p *put) pump(ctx context.Context, s *source, all *streamed) error {
	g, ctx := errgroup.WithContext(ctx)
	buffers := min(p.e.cfg.Connections, p.e.cfg.PartsPerFile)
	free := make(chan []byte, buffers)
	for range buffers {
		free <- nil // allocated when first used
	}
	var err error
	for n := protocol.PartNumber(1); err == nil; n++ {
		var buf []byte
		select {
		case buf = <-free:
		case <-ctx.Done():
			err = ctx.Err()
			continue
		}
		if buf == nil {
			buf = make([]byte, p.up.PartSize)
		}
		var filled int
		filled, err = s.fillWithin(ctx, buf)
		if filled == 0 || err != nil && err != io.EOF {
			continue
		}
		if n > protocol.MaxParts {
			err = &protocol.Error{Kind: protocol.KindTooManyParts,
				Message: fmt.Sprintf("the stream is longer than %d parts of %d bytes; nothing was committed", protocol.MaxParts, p.up.PartSize),
				Hint:    "Write it to a file and put that: files of known size get larger parts."}
			continue
		}
		part := &streamPart{}
		all.size += int64(filled)
		all.parts = append(all.parts, part)
		p.item.grow(int64(filled))
		g.Go(func() error {
			defer func() { free <- buf }()
			return p.sendBuffer(ctx, n, buf[:filled], part)
		})
	}
	// A failed part ends ctx, and so the reading: its error is the reason.
	if sending := g.Wait(); sending != nil {
		return sending
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (p *put) sendBuffer(ctx context.Context, n protocol.PartNumber, data []byte, part *streamPart) error {
	h := protocol.NewPartHasher()
	_, _ = h.Write(data) // hashes do not fail
	part.sum, part.blocks = h.Sum()
	return p.e.retry(ctx, &p.tries, func(ctx context.Context) error {
		return p.send(ctx, n, newMemBody(data), int64(len(data)), part.sum)
	})
}

// commitStream commits with everything the stream turned out to be, since it
// cannot be read again.
func (p *put) commitStream(ctx context.Context, all *streamed) error {
	var sums []protocol.XXH3
	var blocks []protocol.Block
	for _, part := range all.parts {
		sums = append(sums, part.sum)
		blocks = append(blocks, part.blocks...)
	}
	sum, digest := protocol.PartsXXH3(sums), protocol.DigestOf(blocks)
	all.digest = &digest
	f, _, err := p.e.commit(ctx, &p.tries, p.up.UID, protocol.CommitUpload{Size: &all.size, PartsXXH3: &sum, Digest: &digest})
	if err != nil {
		return err
	}
	if f.Size != all.size || f.Digest != nil && *f.Digest != digest {
		return otherContent(f.UID)
	}
	p.committed(f)
	return nil
}

// source reads a stream that may block for ever. spoiled is what it means that
// it ends early.
type source struct {
	r       io.Reader
	spoiled string
}

type filling struct {
	n   int
	err error
}

// fillWithin reads until buf is full or the stream ends (io.EOF, with what
// came before it), or ctx does. The stream's own error is KindLocalIO.
func (s *source) fillWithin(ctx context.Context, buf []byte) (int, error) {
	done := make(chan filling, 1)
	go func() {
		n, err := io.ReadFull(s.r, buf)
		done <- filling{n, err}
	}()
	select {
	case f := <-done:
		switch f.err {
		case nil, io.EOF:
			return f.n, f.err
		case io.ErrUnexpectedEOF:
			return f.n, io.EOF
		}
		return f.n, &protocol.Error{Kind: protocol.KindLocalIO, Message: "the stream could not be read to its end; " + s.spoiled, Err: f.err}
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
