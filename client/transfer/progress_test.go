package transfer

import (
	"testing"
	"time"
)

func TestProgressArithmetic(t *testing.T) {
	now := time.Unix(1000, 0)
	p := &Progress{Clock: func() time.Time { return now }}
	p.Expect(2, 1500)
	it := p.begin()
	it.grow(1000)
	if s := p.Snapshot(); s.Items != 2 || s.ItemsDone != 0 || s.Bytes != 1500 || s.Rate != 0 || s.ETA != 0 {
		t.Errorf("begun: %+v", s)
	}
	it.held(900) // must not look like speed
	now = now.Add(time.Second)
	var sent int64
	end := it.watch(func() int64 { return sent })
	sent = 10
	if s := p.Snapshot(); s.Resumed != 900 || s.Moved != 10 || s.Rate != 10 || s.ETA != 59*time.Second {
		t.Errorf("moving: %+v", s)
	}
	sent = 40
	end(40, false) // a failed request is taken back, but its bytes were moved
	now = now.Add(time.Second)
	if s := p.Snapshot(); s.Moved != 0 || s.Rate != 20 {
		t.Errorf("failed: %+v", s)
	}
	end = it.watch(func() int64 { return 0 })
	end(100, true)
	it.end(true)
	if s := p.Snapshot(); s.ItemsDone != 1 || s.Moved+s.Resumed != 1000 || s.Bytes != 1500 {
		t.Errorf("done: %+v", s)
	}
}

// TestProgressNamesWhatRuns: of several items the one that began first, as long
// as it runs.
func TestProgressNamesWhatRuns(t *testing.T) {
	p := &Progress{}
	a, b, c := p.begin(), p.begin(), p.begin()
	if name := p.Snapshot().Name; name != "" {
		t.Errorf("%q is named", name)
	}
	b.called("b")
	a.called("")
	c.called("c")
	a.called("a")
	c.called("again")
	for _, step := range []struct {
		end  *item
		name string
	}{{nil, "b"}, {c, "b"}, {b, "a"}, {a, ""}} {
		if step.end != nil {
			step.end.end(step.end != b)
		}
		if name := p.Snapshot().Name; name != step.name {
			t.Errorf("%q is named, want %q", name, step.name)
		}
	}
}

func TestProgressRateForgets(t *testing.T) {
	now := time.Unix(1000, 0)
	p := &Progress{Clock: func() time.Time { return now }}
	it := p.begin()
	it.grow(1 << 30)
	end := it.watch(func() int64 { return 0 })
	end(1000, true)
	for range 20 { // nothing moves for 10 s
		now = now.Add(500 * time.Millisecond)
		p.Snapshot()
	}
	if s := p.Snapshot(); s.Rate != 0 || s.ETA != 0 || s.Moved != 1000 {
		t.Errorf("%+v", s)
	}
	if len(p.samples) > 14 {
		t.Errorf("%d samples are kept", len(p.samples))
	}
	// Snapshots further apart than the window average over what is between.
	now = now.Add(time.Minute)
	end = it.watch(func() int64 { return 0 })
	end(6000, true)
	p.Snapshot()
	now = now.Add(time.Minute)
	it.watch(func() int64 { return 0 })(600, true)
	if s := p.Snapshot(); s.Rate != 10 {
		t.Errorf("%+v", s)
	}
}

func TestProgressOfArrivals(t *testing.T) {
	p := &Progress{}
	it := p.begin()
	it.grow(100)
	a := it.arrive()
	a.add(30)
	if s := p.Snapshot(); s.Moved != 30 {
		t.Errorf("arriving: %+v", s)
	}
	a.keep()
	a.add(20)
	a.end() // the second block did not come whole
	if s := p.Snapshot(); s.Moved != 30 || p.wire != 50 {
		t.Errorf("ended: %+v, %d", s, p.wire)
	}
	it.restart()
	if s := p.Snapshot(); s.Moved != 0 || s.Resumed != 0 || s.Bytes != 100 {
		t.Errorf("restarted: %+v", s)
	}
	it.end(false)
	if s := p.Snapshot(); s.Bytes != 0 || s.ItemsDone != 1 {
		t.Errorf("failed: %+v", s)
	}
}

func TestNoProgress(t *testing.T) {
	var p *Progress
	it := p.begin()
	it.grow(1)
	it.held(1)
	it.watch(func() int64 { return 1 })(1, true)
	a := it.arrive()
	a.add(1)
	a.keep()
	a.end()
	it.restart()
	it.end(true)
}
