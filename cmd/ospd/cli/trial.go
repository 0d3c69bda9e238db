package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/open"
	"github.com/osproxy/osproxy/store/storetest"
)

// cleanTimeout is how long is tried to remove what a trial made, also after it
// was interrupted.
const cleanTimeout = 5 * time.Minute

// trial runs the suite on a store, each case in a place of its own below root.
type trial struct {
	*trialCase // what a T has beside Run; no case has it
	root       open.Config
	backend    func(context.Context, open.Config) (store.Backend, error)
	report     *trialReport
	places     int
	causes     []error
}

// newTrial makes the place of a trial.
func newTrial(ctx context.Context, name string, c open.Config, report *trialReport) (*trial, error) {
	folder := "ospd-test-" + strings.ToLower(rand.Text()[:12])
	t := &trial{trialCase: &trialCase{ctx: ctx}, root: c.Below(folder), backend: open.Backend, report: report}
	if c.Type == "local" {
		if !isMount(c.Path) {
			// Beside it, where nobody looks for objects.
			t.root.Path = filepath.Join(filepath.Dir(c.Path), folder)
		}
		if err := os.Mkdir(t.root.Path, 0o700); err != nil {
			return nil, fmt.Errorf("make a folder to try store %q in: %w", name, err)
		}
	}
	return t, report.begin(name, t.root.Place())
}

// run runs the suite and cleans up. Its error sums up what is wrong.
func (t *trial) run() error {
	storetest.Run(t, t.open)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), cleanTimeout)
	defer cancel()
	left := t.clean(ctx)
	if left != nil {
		left = fmt.Errorf("what the trial made was not all removed: %w; remove by hand all that is below %s", left, t.root.Place())
	}
	interrupted := t.ctx.Err() != nil
	err := t.report.end(left == nil, interrupted)
	switch {
	case interrupted:
		err = errors.Join(err, errors.New("interrupted: not all cases ran"))
	case t.report.failed > 0:
		err = errors.Join(err, withAdvice(fmt.Errorf("%d of %d cases failed: do not use this store as it is", t.report.failed, t.report.cases()), t.causes...))
	}
	return errors.Join(err, left)
}

// Run runs a case.
func (t *trial) Run(name string, f func(storetest.T)) bool {
	if t.ctx.Err() != nil {
		return false
	}
	c := &trialCase{ctx: t.ctx, name: name}
	c.run(f)
	if t.ctx.Err() != nil {
		return false // it failed for that
	}
	t.causes = append(t.causes, c.causes...)
	if err := t.report.ended(c); err != nil {
		t.causes = append(t.causes, err)
	}
	return !c.failed
}

// open gives a case an empty store, which is emptied after it.
func (t *trial) open(c storetest.T) store.Backend {
	t.places++
	place := t.root.Below(strconv.Itoa(t.places))
	if place.Type == "local" {
		if err := os.Mkdir(place.Path, 0o700); err != nil {
			c.Fatalf("make a folder: %v", err)
		}
	}
	b, err := t.backend(t.ctx, place)
	if err != nil {
		c.Fatalf("open: %v", err)
	}
	if checker, ok := b.(store.Checker); ok { // which finds out how to put, as at the start of a daemon
		if err := checker.Check(t.ctx); err != nil {
			c.Fatalf("check: %v", err)
		}
	}
	c.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), cleanTimeout)
		defer cancel()
		if err := t.empty(ctx, place); err != nil {
			c.Errorf("clean up: %v", err)
		}
	})
	return b
}
