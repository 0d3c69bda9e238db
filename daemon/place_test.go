package daemon

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/protocol"
)

// answers are what TakeNode says, one after the other; the last again and again.
type answers []error

func (a *answers) TakeNode(context.Context, meta.NewNode, time.Duration) (meta.NodeLease, error) {
	err := (*a)[0]
	if len(*a) > 1 {
		*a = (*a)[1:]
	}
	return meta.NodeLease{}, err
}

// wait waits for the place in a time of its own.
func wait(t *testing.T, a *answers) (err error) {
	synctest.Test(t, func(t *testing.T) { _, err = waitForPlace(t.Context(), a, meta.NewNode{ID: "own"}, quiet()) })
	return err
}

// TestClockAhead: a clock is off that shows another time than the database's at
// every moment at which that may have been read.
func TestClockAhead(t *testing.T) {
	at := time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct{ before, after, now, want time.Duration }{
		"right":                {0, time.Second, 0, 0},
		"a minute ahead":       {time.Minute, time.Minute, 0, 0},
		"more than a minute":   {time.Minute + 1, 2 * time.Minute, 0, time.Minute + 1},
		"a minute behind":      {0, 0, time.Minute, 0},
		"ten minutes behind":   {0, time.Second, 10 * time.Minute, time.Second - 10*time.Minute},
		"an answer after long": {0, time.Hour, 30 * time.Minute, 0},
	} {
		if got := clockAhead(at.Add(c.before), at.Add(c.after), at.Add(c.now)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestPlaceComparesClocks: a place says that the clock is off, until it is not.
func TestPlaceComparesClocks(t *testing.T) {
	var behind atomic.Int64
	behind.Store(int64(10 * time.Minute))
	db := metatest.OpenDB(t, meta.Config{Path: filepath.Join(t.TempDir(), "meta.db"), Clock: func() time.Time { return time.Now().Add(-time.Duration(behind.Load())) }})
	p, err := takePlace(t.Context(), db, meta.NewNode{ID: "own"}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		p.leave()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	if got := p.clockOff(); !strings.Contains(got, "is 10m0s ahead of that of the database") {
		t.Errorf("it says %q", got)
	}
	for off, says := range map[time.Duration]string{-time.Hour: "1h0m0s behind", 0: ""} {
		behind.Store(int64(off))
		if err := p.renew(t.Context()); err != nil || (says == "") != (p.clockOff() == "") || !strings.Contains(p.clockOff(), says) {
			t.Errorf("off by %s it says %q, %v", off, p.clockOff(), err)
		}
	}
}

// TestWaitForPlace: the lease of the node's own last run is waited for, that of
// another is not, nor that of one which lives.
func TestWaitForPlace(t *testing.T) {
	at := time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)
	own := &meta.NodeHeld{Node: "own", Since: at, Until: at.Add(time.Minute), Left: time.Millisecond}
	long := &meta.NodeHeld{Node: "own", Since: at, Until: at.Add(time.Minute), Left: placeLease}
	renewed := &meta.NodeHeld{Node: "own", Since: at, Until: at.Add(2 * time.Minute), Left: time.Millisecond}
	other := &meta.NodeHeld{Node: "other", Since: at, Until: at.Add(time.Minute), Left: time.Hour}
	for name, c := range map[string]struct {
		answers answers
		says    []string
	}{
		"free":                             {answers{nil}, nil},
		"its own until it ends":            {answers{own, own, own, nil}, nil},
		"its own, which is renewed":        {answers{own, renewed}, []string{"node own, of which this data folder is a copy", "until 2026-11-28T10:02:00Z"}},
		"another's":                        {answers{other}, []string{"node other holds it since 2026-11-28T10:00:00Z", "until 2026-11-28T10:01:00Z"}},
		"another's, in the meantime":       {answers{own, other}, []string{"node other"}},
		"busy, then free":                  {answers{protocol.Errorf(protocol.KindUnavailable, "busy"), nil}, nil},
		"its own, then what is left of it": {answers{long, protocol.Errorf(protocol.KindUnavailable, "busy"), nil}, nil},
		"busy for good":                    {answers{protocol.Errorf(protocol.KindUnavailable, "busy")}, []string{"busy"}},
		"broken":                           {answers{protocol.Errorf(protocol.KindInternal, "broken")}, []string{"broken"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := wait(t, &c.answers)
			if (err != nil) != (c.says != nil) {
				t.Fatalf("got %v", err)
			}
			for _, word := range c.says {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%v does not say %q", err, word)
				}
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := waitForPlace(ctx, &answers{own}, meta.NewNode{ID: "own"}, quiet()); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that is ended: %v", err)
	}
}
