package transfer

import (
	"context"
	"slices"

	"github.com/osproxy/osproxy/protocol"
)

// Hint is what Survey found out about a file before it is put.
type Hint struct {
	stamp       Stamp
	fingerprint protocol.Fingerprint
	// Maybe says that the daemon may have the content, so that its bytes need
	// not travel. The put finds out for certain.
	Maybe bool
}

// Survey reads the fingerprints of files that are to be put, and asks the
// daemon in one request for each thousand which of them it may have. A hint has
// the place of its path, and is nil where there is none: of a file that one
// request carries, or that cannot be read now, and of all where the daemon does
// not answer such questions. An error is of asking, and says nothing about the
// files: they can be put without hints.
func (e *Engine) Survey(ctx context.Context, paths []string) ([]*Hint, error) {
	hints := make([]*Hint, len(paths))
	caps, err := e.capabilities(ctx, new(tries))
	if err != nil || !answersProbes(caps) {
		return hints, err
	}
	err = parallel(ctx, workers(), len(paths), func(_ context.Context, _ []byte, i int) error {
		hints[i] = hintOf(paths[i], caps)
		return nil
	})
	if err != nil {
		return make([]*Hint, len(paths)), err
	}
	known := slices.DeleteFunc(slices.Clone(hints), func(h *Hint) bool { return h == nil })
	for some := range slices.Chunk(known, protocol.MaxProbeItems) {
		if err := e.probe(ctx, some); err != nil {
			return hints, err
		}
	}
	return hints, nil
}

// answersProbes: a daemon that has nothing to be claimed need not be asked.
func answersProbes(caps protocol.Capabilities) bool {
	return slices.Contains(caps.Features, protocol.FeatureProbe) && hearsClaims(caps)
}

func hearsClaims(caps protocol.Capabilities) bool {
	return slices.Contains(caps.Features, protocol.FeatureInstant)
}

// hintOf looks at one file.
func hintOf(path string, caps protocol.Capabilities) *Hint {
	l, err := openLocal(path, toSend())
	if err != nil {
		return nil
	}
	defer l.close()
	if small(l.stamp.Size, caps) {
		return nil
	}
	fp, err := l.fingerprint()
	if err != nil {
		return nil
	}
	return &Hint{stamp: l.stamp, fingerprint: fp}
}

// probe asks for files in one request.
func (e *Engine) probe(ctx context.Context, hints []*Hint) error {
	items := make([]protocol.ProbeItem, len(hints))
	for i, h := range hints {
		items[i] = protocol.ProbeItem{Size: h.stamp.Size, Fingerprint: h.fingerprint}
	}
	var maybe []bool
	err := e.retry(ctx, new(tries), func(ctx context.Context) (err error) {
		maybe, err = e.cfg.Client.Probe(ctx, items)
		return err
	})
	for i := range maybe {
		if hints[i].Maybe = maybe[i]; maybe[i] {
			e.cfg.Progress.foresee(items[i].Size)
		}
	}
	return err
}

// settled: what was foreseen of the file came true or did not.
func (h *Hint) settled(p *Progress) {
	if h != nil && h.Maybe {
		p.foresee(-h.stamp.Size)
	}
}

// hint is what was found out about the file, if it is still as it was then.
func (p *put) hint() *Hint {
	if h := p.req.Hint; h != nil && p.local != nil && h.stamp == p.local.stamp {
		return h
	}
	return nil
}

// fingerprint is that of the file.
func (p *put) fingerprint() (protocol.Fingerprint, error) {
	if h := p.hint(); h != nil {
		return h.fingerprint, nil
	}
	return p.local.fingerprint()
}

// foreknow hashes the file before its upload is begun, where the daemon may have
// the content: while that takes its time no upload stands open, and none is left
// behind by a run that is stopped.
func (p *put) foreknow(ctx context.Context) error {
	if h := p.hint(); h == nil || !h.Maybe {
		return nil
	}
	_, err := p.digest(ctx)
	return err
}
