//go:build servers && linux

package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
)

// TestPostgresKilled: the database is killed and comes back while files are put.
// Nothing that was acknowledged is lost, and all nodes come back without a
// restart of theirs.
func TestPostgresKilled(t *testing.T) {
	p := onMinIO(t, 3)
	p.durable = true
	c := start(t, p)
	l := c.newLoad(6)
	for range 3 {
		l.progress(100)
		c.postgres.Crash()
		if err := c.postgres.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range c.nodes {
		n.ready(t)
	}
	l.progress(100)
	l.check()
	c.finish()
}

// TestCutFromPostgres: a node loses the database for a while, and comes back.
func TestCutFromPostgres(t *testing.T) {
	p := onMinIO(t, 2)
	p.apart = true
	c := start(t, p)
	l := c.newLoad(4)
	for _, ways := range [][]way{{there}, {back}, {there, back}} {
		l.progress(50)
		c.toPostgres.lose(ways...)
		refused := l.refusals.Load()
		harness.Eventually(t, "requests are refused", func() bool { return l.refusals.Load() > refused })
		c.toPostgres.heal()
	}
	l.progress(50)
	c.toPostgres.reset()
	l.progress(50)
	l.check()
	c.finish()
}

const parallelPuts = 32

// TestRollingRestart: 32 clients put files without pause through what stands
// before the nodes while each node in turn is restarted. No client sees a
// failure.
func TestRollingRestart(t *testing.T) {
	c := start(t, onMinIO(t, 3))
	c.rollingRestart()
	c.finish()
}

func (c *cluster) rollingRestart() {
	t := c.t
	t.Helper()
	front := "http://" + c.front().address()
	var over atomic.Bool
	var puts atomic.Int64
	var mu sync.Mutex
	said := map[string][]byte{} // what osp said of the content
	var wg sync.WaitGroup
	dir := t.TempDir()
	for i := range parallelPuts {
		osp := harness.NewOSP(t, bin, front)
		path := filepath.Join(dir, fmt.Sprintf("file-%d", i))
		wg.Go(func() {
			for n := uint64(0); !over.Load() && !t.Failed(); n++ {
				data := harness.Content(uint64(i)<<20+n, 20_000+int64(n%3)*600_000)
				if err := os.WriteFile(path, data, 0o600); err != nil {
					t.Error(err)
					return
				}
				p := osp.Start("put", "--json", path)
				exit := p.Wait()
				if exit != 0 {
					t.Errorf("osp put left with %d: %s%s", exit, p.Stdout(), p.Stderr())
					return
				}
				puts.Add(1)
				mu.Lock()
				said[p.Stdout()] = data
				mu.Unlock()
			}
		})
	}
	more := func() {
		want := puts.Load() + parallelPuts
		harness.Eventually(t, "files are put", func() bool { return puts.Load() >= want || t.Failed() })
	}
	for _, n := range c.nodes {
		more()
		if exit := n.Stop(); exit != 0 {
			t.Errorf("a node left with %d:\n%s", exit, n.Stderr())
		}
		n.Start()
	}
	more()
	over.Store(true)
	wg.Wait()
	t.Logf("%d files were put", puts.Load())
	i := 0
	for line, data := range said {
		if i++; i%10 == 0 {
			c.nodes[i%len(c.nodes)].API().MustHold(harness.Results(t, line)[0].UID, data)
		}
	}
}
