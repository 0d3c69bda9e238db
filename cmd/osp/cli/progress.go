package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/osproxy/osproxy/client/transfer"
)

// barInterval is how often a bar is drawn.
const barInterval = 100 * time.Millisecond

// progressMode settles --progress for this terminal. unsized says that the
// total is not known, so that there is nothing to draw a bar of.
//
// Off a terminal nothing is ever drawn: a bar that was asked for becomes lines.
func (s *session) progressMode(unsized bool) string {
	mode := s.opts.progress
	if s.opts.quiet {
		return progressNone
	}
	canDraw := s.errTerminal && s.env["TERM"] != "dumb" && !unsized
	switch {
	case mode == progressAuto && canDraw && s.env["CI"] == "":
		return progressBar
	case mode == progressAuto, mode == progressBar && !canDraw:
		return progressPlain
	}
	return mode
}

// show prints progress on standard error until the returned function is
// called, which waits for the printing to end.
func (s *session) show(progress *transfer.Progress, unsized bool) (stop func()) {
	every := s.opts.interval
	show := func(time.Time) {}
	switch s.progressMode(unsized) {
	case progressNone:
		return func() {}
	case progressBar:
		every = barInterval
		bar := newTotalBar(s.con)
		show = func(time.Time) { bar.draw(progress.Snapshot()) }
	default:
		lines := &plainLines{unsized: unsized}
		show = func(now time.Time) {
			if line := lines.next(now, progress.Snapshot()); line != "" {
				s.con.note(line)
			}
		}
	}
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-quit:
				return
			case now := <-ticker.C:
				show(now)
			}
		}
	}()
	return func() {
		close(quit)
		<-ended
		s.con.clear()
	}
}

// plainLines makes progress lines for logs: few, and each says something new.
type plainLines struct {
	unsized bool
	shown   transfer.Snapshot
}

// next is the line for a snapshot, "" unless something moved since the last
// line, or was hashed: 1 % of the total, or of what was moved where there is
// no total.
func (p *plainLines) next(now time.Time, s transfer.Snapshot) string {
	whole := s.Bytes
	if p.unsized {
		whole = p.shown.Moved
	}
	done, before := s.Done(), p.shown.Done()
	p.shown.Hashed = min(p.shown.Hashed, s.Hashed) // another hash began
	grown := max(done-before, s.Hashed-p.shown.Hashed)
	if grown <= 0 || grown*100 < whole {
		return ""
	}
	p.shown = s
	parts := []string{"osp:", now.UTC().Format(time.RFC3339), fmt.Sprintf("%d/%d files", s.ItemsDone, s.Items)}
	if p.unsized {
		parts = append(parts, bytesText(done))
	} else {
		parts = append(parts, fmt.Sprintf("%d%%", percent(done, s.Bytes)), bytesText(done)+"/"+bytesText(s.Bytes))
	}
	parts = append(parts, speed(s)...)
	return strings.Join(append(parts, besides(s)...), " ")
}

// speed is rate and time left, as far as they are known.
func speed(s transfer.Snapshot) []string {
	var parts []string
	if s.Rate >= 1 {
		parts = append(parts, bytesText(int64(s.Rate))+"/s")
	}
	if s.ETA > 0 {
		parts = append(parts, "eta "+clock(s.ETA))
	}
	return parts
}

// besides is what goes on without anything being moved.
func besides(s transfer.Snapshot) []string {
	var parts []string
	if s.Hashed > 0 {
		parts = append(parts, "hashed "+bytesText(s.Hashed))
	}
	if s.Resumed > 0 {
		parts = append(parts, "resumed "+bytesText(s.Resumed))
	}
	if s.Instant > 0 {
		parts = append(parts, "instant "+bytesText(s.Instant))
	}
	if s.Foreseen > 0 {
		parts = append(parts, "to claim "+bytesText(s.Foreseen))
	}
	return parts
}

// percent is n of whole, rounded down, at most 100.
func percent(n, whole int64) int64 {
	if whole <= 0 {
		return 100
	}
	return min(int64(float64(n)/float64(whole)*100), 100)
}

// clock prints a time left: 00:07, or 2:00:07 from an hour on.
func clock(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	if s < 3600 {
		return fmt.Sprintf("%02d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}
