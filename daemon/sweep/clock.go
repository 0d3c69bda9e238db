package sweep

import (
	"fmt"
	"sync"
	"time"
)

const (
	// stepMax is how far the wall clock may part from the one that is never
	// set, between two looks; and at the start from the last round before it.
	stepMax = time.Hour
	// holdFor is how long nothing is removed after a greater step.
	holdFor = time.Hour
)

// watch notices when the wall clock is set. By a clock that is wrong everything
// looks expired, abandoned and past its grace; so for an hour after a step
// nothing is removed, and somebody can see it and set the clock right. A
// machine that slept is seen as one too, which costs an hour, and so is a start
// after a stop of more than an hour: nobody can tell it from a clock that is
// wrong since the machine began.
type watch struct {
	wall   func() time.Time
	uptime func() time.Duration

	mu sync.Mutex
	// wallAt and upAt are the clocks at the last look. Guarded by mu.
	wallAt time.Time
	upAt   time.Duration
	// why is what holds, "" without; until is the uptime at which what it holds
	// goes on. Guarded by mu.
	why   string
	until time.Duration
}

func newWatch(wall func() time.Time, uptime func() time.Duration) *watch {
	if wall == nil {
		wall = time.Now
	}
	if uptime == nil {
		start := time.Now()
		uptime = func() time.Duration { return time.Since(start) }
	}
	w := &watch{wall: wall, uptime: uptime}
	w.wallAt, w.upAt = w.now()
	return w
}

// now reads both clocks; the wall's time loses the monotonic reading that
// time.Now gives it.
func (w *watch) now() (time.Time, time.Duration) { return w.wall().Round(0), w.uptime() }

// look is the time, and why it is not to be trusted, "" when it is.
func (w *watch) look() (now time.Time, held string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, up := w.now()
	if step := now.Sub(w.wallAt) - (up - w.upAt); step > stepMax || step < -stepMax {
		w.why, w.until = fmt.Sprintf("clock stepped by %s; nothing is removed for an hour after that", step.Round(time.Second)), up+holdFor
	}
	w.wallAt, w.upAt = now, up
	if up >= w.until {
		w.why = ""
	}
	return now, w.why
}

// start judges the clock by the time that was kept by the last round before.
func (w *watch) start(kept time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, up := w.now()
	if off := now.Sub(kept); off > stepMax || off < -stepMax {
		w.why, w.until = fmt.Sprintf("clock is %s from where the last sweep left it, after a long stop or since it is wrong; "+
			"a daemon removes nothing for an hour then", off.Round(time.Second)), up+holdFor
	}
}
