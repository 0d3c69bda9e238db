package cli

import (
	"context"

	"github.com/osproxy/osproxy/client/transfer"
	"github.com/osproxy/osproxy/cmd/osp/selection"
	"github.com/osproxy/osproxy/protocol"
)

// candidate is a file to put, with what is known of it beforehand.
type candidate struct {
	selection.Entry
	hint *transfer.Hint
}

// Bounds of what is surveyed at once: files, of these such as one request does
// not carry, and bytes that are read of them.
const (
	surveyFiles = 4096
	surveyLarge = protocol.MaxProbeItems
	surveyBytes = 256 << 20
)

// fewLarge are too few for a survey to be worth a request: of each the daemon
// says the same when its upload begins.
const fewLarge = 8

// surveyor asks beforehand which contents of many files the daemon may have.
type surveyor struct {
	survey func(ctx context.Context, paths []string) ([]*transfer.Hint, error)
	// least is how many large files are worth asking about.
	least int
	// whole waits for as many files as can be asked about at once. Otherwise
	// none that could be put already waits for another to be found.
	whole bool
}

// surveyor is the one for a put. Where nothing is to be put its answer is all
// that can be said, so that no file is too few.
func (s *session) surveyor(engine *transfer.Engine) surveyor {
	if s.dryRun {
		return surveyor{survey: engine.Survey, least: 1, whole: true}
	}
	return surveyor{survey: engine.Survey, least: fewLarge}
}

// run passes the files on. Those that nobody takes yet are surveyed meanwhile,
// so that nothing waits for a survey that could do something else.
func (s surveyor) run(ctx context.Context, in <-chan selection.Entry) <-chan candidate {
	out := make(chan candidate)
	go func() {
		defer close(out)
		for {
			batch := s.next(in)
			if len(batch) == 0 {
				return
			}
			for _, c := range s.look(ctx, batch) {
				out <- c
			}
		}
	}()
	return out
}

// next takes the files that are there, waiting for the first.
func (s surveyor) next(in <-chan selection.Entry) (batch []candidate) {
	large, bytes := 0, int64(0)
	for len(batch) < surveyFiles && large < surveyLarge && bytes < surveyBytes {
		var e selection.Entry
		var ok bool
		if len(batch) == 0 || s.whole {
			e, ok = <-in
		} else {
			select {
			case e, ok = <-in:
			default:
			}
		}
		if !ok {
			return batch // there are no more, or none yet
		}
		batch = append(batch, candidate{Entry: e})
		if isLarge(e) {
			large++
			bytes += min(e.Size, protocol.BlockSize)
		}
	}
	return batch
}

// isLarge: more than one request carries the file.
func isLarge(e selection.Entry) bool {
	return e.Err == nil && !e.Stdin && e.Size > protocol.OneShotMax
}

// look gives the files what is found out about them. Where that fails they go
// without: putting them will meet what is in the way.
func (s surveyor) look(ctx context.Context, batch []candidate) []candidate {
	var paths []string
	var places []int
	for i, c := range batch {
		if isLarge(c.Entry) {
			paths, places = append(paths, c.Path), append(places, i)
		}
	}
	if len(paths) < s.least || ctx.Err() != nil {
		return batch
	}
	hints, err := s.survey(ctx, paths)
	if err != nil {
		return batch
	}
	for n, i := range places {
		batch[i].hint = hints[n]
	}
	return batch
}
