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
