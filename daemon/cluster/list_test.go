package cluster

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
)

// TestANewNodeIsFoundAtOnce: its first request may come here before the list of
// nodes is read again.
func TestANewNodeIsFoundAtOnce(t *testing.T) {
	times := quick()
	times.Look = time.Hour
	w := startWith(t, times)
	w.until("the list was read", func() bool { return w.rows.reads() == 1 })
	w.join(one, hello)
	if text, err := w.ask(one); err != nil || text != "hello" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestANodeThatIsNotThere is not looked for in the database again and again.
func TestANodeThatIsNotThere(t *testing.T) {
	times := quick()
	times.Look = time.Hour
	w := startWith(t, times)
	w.rows.set(meta.Node{ID: two, Address: "127.0.0.1:1"})
	w.until("the list was read", func() bool { return w.rows.reads() == 1 })
	_, err := w.ask(one)
	ownerDown(t, err)
	for range 50 {
		for _, id := range []meta.NodeID{two, ""} {
			_, err := w.ask(id)
			if ownerDown(t, err); !w.Down(id) {
				t.Errorf("%q is not known to be down", id)
			}
		}
	}
	if n := w.rows.reads(); n != 2 {
		t.Errorf("the list was read %d times, want once more for a node that is not in it", n)
	}
}

func TestALeaseThatIsOver(t *testing.T) {
	w := start(t)
	came := make(chan struct{})
	first := sync.OnceFunc(func() { close(came) })
	n := w.join(one, func(_ http.ResponseWriter, r *http.Request) {
		first()
		<-r.Context().Done()
	})
	w.until("it is there", func() bool { return w.isUp(one) })
	waits := w.underWay(came, func() error {
		_, err := w.ask(one)
		return err
	})
	w.rows.set(meta.Node{ID: one, Address: n.Listener.Addr().String()})
	ownerDown(t, <-waits)
	_, err := w.ask(one)
	ownerDown(t, err)
	w.names(err, one, n.Listener.Addr().String())
	if _, ok := w.state(one); ok {
		t.Error("it is still asked")
	}
}

// TestTheListStandsWhileItCannotBeRead: nodes can be reached without the database.
func TestTheListStandsWhileItCannotBeRead(t *testing.T) {
	w := start(t)
	w.join(one, hello)
	w.until("it is there", func() bool { return w.isUp(one) })
	w.rows.fail(errors.New("no database"))
	before := w.rows.reads()
	w.until("it was read again", func() bool { return w.rows.reads() > before+2 })
	if text, err := w.ask(one); err != nil || text != "hello" {
		t.Errorf("%q, %v", text, err)
	}
	if n := strings.Count(w.log.String(), "cannot be read"); n != 1 {
		t.Errorf("the log says it %d times", n)
	}
}

// TestACallerWhoLeavesTellsNothingOfTheList: another who waited for it reads it
// himself.
func TestACallerWhoLeavesTellsNothingOfTheList(t *testing.T) {
	times := quick()
	times.Look = time.Hour
	w := startWith(t, times)
	w.until("the list was read", func() bool { return w.rows.reads() == 1 })
	w.look(t.Context())
	looked := w.looked
	for _, left := range []error{context.Canceled, context.DeadlineExceeded} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		w.rows.fail(left)
		w.look(ctx)
		if w.looked != looked || w.failed {
			t.Errorf("%v: the list counts as read, and failed %v", left, w.failed)
		}
	}
}
