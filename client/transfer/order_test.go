package transfer

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/osproxy/osproxy/protocol"
)

// TestOrder: Files of one name that are fetched at once end as if they had been
// fetched one after the other: the first stays, or, where they replace, the
// last.
func TestOrder(t *testing.T) {
	for _, c := range []struct {
		do   IfExists
		stay int
		ends []Outcome
	}{
		{ExistsFail, 0, []Outcome{Downloaded, Failed, Failed, AlreadyComplete, Failed}},
		{ExistsSkip, 0, []Outcome{Downloaded, Skipped, Skipped, AlreadyComplete, Skipped}},
		{ExistsOverwrite, 4, []Outcome{Downloaded, Downloaded, Downloaded, Downloaded, Downloaded}},
	} {
		r := newRig(t)
		var data [][]byte
		var uids []protocol.UID
		for i := range 5 {
			data = append(data, random(1000, uint64(i)))
			uids = append(uids, r.d.add("dir/a", data[i]).UID)
		}
		uids[3] = uids[0]
		var order Order
		var wg sync.WaitGroup
		ends := make([]Outcome, 5)
		for i, uid := range uids {
			req := GetRequest{UID: uid, Path: r.dir, IfExists: c.do, Place: order.Next()}
			wg.Go(func() {
				res, _ := r.Get(t.Context(), req)
				ends[i] = res.Outcome
			})
		}
		wg.Wait()
		if fmt.Sprint(ends) != fmt.Sprint(c.ends) {
			t.Errorf("%s: %v, want %v", c.do, ends, c.ends)
		}
		holds(t, r.dir, map[string][]byte{"a": data[c.stay]})
		r.transfers(t, 0)
	}
}

// TestOrderOfDifferentTargets: nobody waits for a get with another target, nor
// for one that failed before it had any.
func TestOrderOfDifferentTargets(t *testing.T) {
	var o Order
	first, failed, third, fourth := o.Next(), o.Next(), o.Next(), o.Next()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(first.wait(t.Context(), "a"))
	failed.leave()
	must(third.wait(t.Context(), "b"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := fourth.wait(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("the place behind one with the same target: %v", err)
	}
	first.leave()
	fourth.leave()
	third.leave()
	if len(o.owners) != 0 {
		t.Errorf("left over: %v", o.owners)
	}
	var none *Place
	must(none.wait(t.Context(), filepath.Join("a", "b")))
	none.leave()
}

// TestOrderBehindOneThatFailed: a get that fails before it has a target lets
// nobody past those before it that have none yet.
func TestOrderBehindOneThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o Order
		first, second, third, last := o.Next(), o.Next(), o.Next(), o.Next()
		second.leave()
		third.leave()
		ended := make(chan error, 1)
		go func() { ended <- last.wait(t.Context(), "a") }()
		synctest.Wait()
		if err := first.wait(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		select {
		case err := <-ended:
			t.Fatalf("the last has the target before the first left it: %v", err)
		default:
		}
		first.leave()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		last.leave()
		if len(o.owners) != 0 {
			t.Errorf("left over: %v", o.owners)
		}
	})
}

// TestFolders: who asks while a sync runs is served by the next one, which all
// of them share, with its error.
func TestFolders(t *testing.T) {
	running, release := make(chan struct{}), make(chan error)
	f := folders{run: func(string) error {
		running <- struct{}{}
		return <-release
	}}
	asked := func() int {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.used["a"].asked
	}
	const askers = 10
	ends := make(chan error, askers)
	first := make(chan error, 1)
	go func() { first <- f.sync("a") }()
	<-running
	for range askers {
		go func() { ends <- f.sync("a") }()
	}
	for asked() < 1+askers {
		runtime.Gosched()
	}
	release <- nil
	if err := <-first; err != nil {
		t.Error(err)
	}
	<-running
	gone := errors.New("gone")
	release <- gone
	for range askers {
		if err := <-ends; err != gone {
			t.Errorf("who shared the failed sync got %v", err)
		}
	}
	go func() { first <- f.sync("a") }()
	<-running
	release <- nil
	if err := <-first; err != nil {
		t.Errorf("a later sync: %v", err)
	}
	if len(f.used) != 0 {
		t.Errorf("left over: %v", f.used)
	}
}
