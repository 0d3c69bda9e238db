package cluster

import (
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
)

// TestWhereSomethingNewIsPut: here, as long as that will do.
func TestWhereSomethingNewIsPut(t *testing.T) {
	w := start(t)
	others := map[meta.NodeID]*node{one: w.join(one, hello), two: w.join(two, hello)}
	for name, c := range map[string]struct {
		own, one, two Report
		size          int64
		want          meta.NodeID
	}{
		"here":                   {Report{Free: 10}, Report{Free: 20}, Report{Free: 30}, 10, ""},
		"here, not known":        {Report{Free: 1}, Report{Free: 20}, Report{Free: 30}, -1, ""},
		"no room":                {Report{Free: 9}, Report{Free: 20}, Report{Free: 30}, 10, two},
		"none at all":            {Report{}, Report{Free: 20}, Report{Free: 10}, -1, one},
		"drains":                 {Report{Draining: true, Free: 100}, Report{Free: 20}, Report{Free: 30}, 10, two},
		"stops":                  {Report{Ending: true, Free: 100}, Report{Free: 200}, Report{Free: 300}, 10, ""},
		"stops and is full":      {Report{Ending: true}, Report{Free: 200}, Report{Free: 300}, 10, two},
		"the other stops":        {Report{Draining: true, Free: 100}, Report{Free: 20}, Report{Ending: true, Free: 30}, 10, one},
		"the other drains":       {Report{Draining: true, Free: 100}, Report{Free: 20}, Report{Draining: true, Free: 30}, 10, one},
		"nobody has room":        {Report{Free: 9}, Report{Free: 8}, Report{Free: 7}, 10, ""},
		"all drain":              {Report{Draining: true, Free: 9}, Report{Draining: true, Free: 80}, Report{Draining: true, Free: 70}, 10, ""},
		"a store of all":         {Report{Draining: true, Free: Unlimited}, Report{Free: Unlimited}, Report{Draining: true, Free: Unlimited}, 10, one},
		"an empty file":          {Report{}, Report{}, Report{Free: 1}, 0, two},
		"nothing is free at all": {Report{}, Report{}, Report{}, 0, ""},
	} {
		w.setReport(c.own)
		for id, r := range map[meta.NodeID]Report{one: c.one, two: c.two} {
			others[id].set(r)
			w.until("its report is known", func() bool { s, _ := w.state(id); return s.Heard && s.Report == r })
		}
		if got := w.Choose(c.size); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	others[one].set(Report{Free: 10})
	others[two].set(Report{})
	w.until("the reports are known", func() bool {
		a, _ := w.state(one)
		b, _ := w.state(two)
		return a.Report.Free == 10 && b.Report.Free == 0
	})
	others[one].Close()
	w.until("it is down", func() bool { return w.isDown(one) })
	w.setReport(Report{Draining: true})
	if got := w.Choose(1); got != "" {
		t.Errorf("a node that is down is chosen: %q", got)
	}
}

// TestStandsAside: a node that is drained, as the database says or did when it
// began, leaves what is new to others, while there is one that takes it.
func TestStandsAside(t *testing.T) {
	w := start(t)
	drained := func(on bool) {
		w.rows.set(meta.Node{ID: self, Address: "127.0.0.1:1", Living: true, Draining: on})
		w.until("it is known", func() bool { return w.Report().Draining == on })
	}
	drained(true)
	if w.StandsAside() || w.Choose(1) != "" {
		t.Error("nobody else is there")
	}
	other := w.join(one, hello)
	for name, c := range map[string]struct {
		is    Report
		row   meta.Node
		takes bool
	}{
		"one":                     {Report{Free: 10}, meta.Node{}, true},
		"one that drains":         {Report{Free: 10, Draining: true}, meta.Node{}, false},
		"one that stops":          {Report{Free: 10, Ending: true}, meta.Node{}, false},
		"one that is drained now": {Report{Free: 10}, meta.Node{Draining: true}, false},
	} {
		c.row.ID, c.row.Address, c.row.Living = one, other.Listener.Addr().String(), true
		w.rows.set(c.row)
		other.set(c.is)
		w.until("its report is known", func() bool {
			s, _ := w.state(one)
			return s.Heard && s.Report.Ending == c.is.Ending && s.Report.Draining == (c.is.Draining || c.row.Draining) && s.Report.Free == 10
		})
		if got := w.Choose(1) == one; w.StandsAside() != c.takes || got != c.takes {
			t.Errorf("beside %s: it stands aside: %v, the other is chosen: %v", name, w.StandsAside(), got)
		}
	}
	w.rows.set(meta.Node{ID: one, Address: other.Listener.Addr().String(), Living: true})
	other.set(Report{Free: 10})
	w.until("it takes again", w.StandsAside)
	drained(false)
	if w.StandsAside() || w.Choose(1) != "" {
		t.Error("it is not drained any more")
	}
	if c := New(Config{Report: w.report, Draining: true}); !c.Report().Draining {
		t.Error("it does not know when it begins that it is drained")
	}
}
