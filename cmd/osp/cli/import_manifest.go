package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/osproxy/osproxy/client"
	"github.com/osproxy/osproxy/protocol"
)

// manifest prints the manifest of an import until that has ended.
func (s *session) manifest(ctx context.Context, c *client.Client, id protocol.JobID) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	var sum importSum
	cursor, reached, told := "", s.now(), ""
	for {
		page, err := c.Manifest(ctx, id, 0, cursor)
		if err == nil {
			reached = s.now()
			s.entries(page.Entries, &sum)
			if page.Next == nil {
				return s.imported(ctx, c, id, sum)
			}
			if cursor = *page.Next; len(page.Entries) > 0 {
				continue
			}
			told = s.tellImport(ctx, c, id, told)
		} else if !protocol.KindOf(err).Row().Retryable || s.opts.retries == 0 || s.now().Sub(reached) > s.opts.retryFor {
			return stopped(ctx, err)
		}
		select {
		case <-ctx.Done():
			return stopped(ctx, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// entries prints a page, and counts what is on it.
func (s *session) entries(list []protocol.ManifestEntry, sum *importSum) {
	for _, e := range list {
		sum.add(e)
		switch {
		case !s.opts.quiet || s.opts.json:
			s.con.result(marshal(e))
		case e.UID != nil:
			s.con.result([]byte(e.UID.String()))
		}
	}
}

// tellImport says how far the job is, where that is not what was told last.
func (s *session) tellImport(ctx context.Context, c *client.Client, id protocol.JobID, told string) string {
	j, err := c.Job(ctx, id)
	if err != nil || j.Progress == nil || s.progressMode(false) == progressNone {
		return told // the next page tells what is wrong
	}
	text := "osp: job " + id.String() + " " + stateText(j) + " " + progressText(j.Progress)
	if text != told {
		s.con.note(text)
	}
	return text
}

// imported is how the verb ends with the job.
func (s *session) imported(ctx context.Context, c *client.Client, id protocol.JobID, sum importSum) error {
	j, err := c.Job(ctx, id)
	if err != nil {
		return stopped(ctx, err)
	}
	if err := s.ended(j); err != nil {
		return err
	}
	if sum.objects() == 0 {
		return nothingFound(j)
	}
	if !s.opts.quiet {
		s.con.note("osp: " + sum.text())
	}
	if sum.failed > 0 {
		s.con.note(fmt.Sprintf("osp: of %d of the objects there is no file; the manifest says why", sum.failed))
		s.code = exitPartial
	}
	return nil
}

// importSum sums up a manifest.
type importSum struct {
	imported, already, failed int
	// bytes are those of the files there are.
	bytes int64
}

func (t *importSum) add(e protocol.ManifestEntry) {
	switch e.Outcome {
	case protocol.ImportFailed:
		t.failed++
		return
	case protocol.ImportAlready:
		t.already++
	default:
		t.imported++
	}
	t.bytes += e.Size
}

func (t *importSum) objects() int { return t.imported + t.already + t.failed }

func (t *importSum) text() string {
	return fmt.Sprintf("%d objects: %d imported, %d there already, %d failed; files of %s",
		t.objects(), t.imported, t.already, t.failed, bytesText(t.bytes))
}

// nothingFound: most often a name in the source is not what it was taken for.
func nothingFound(j protocol.Job) error {
	var a importArgs
	_ = json.Unmarshal(j.Args, &a) // the source is then told as nothing
	e := &protocol.Error{Kind: protocol.KindNotFound, Message: fmt.Sprintf("no objects are there: %s; nothing was imported", clean(a.Source)),
		Hint: "A prefix begins where the names in the bucket do, also where the store has a prefix; what ospd stored itself does not count."}
	if strings.HasPrefix(a.Source, "dir:") {
		e.Hint = "Only regular files count, as the daemon sees the folder: no symbolic links, and nothing that ospd stored itself."
	}
	return e
}
