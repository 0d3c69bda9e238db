package upload_test

import (
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
)

// restless are digest jobs that always have found more.
type restless chan struct{}

func (restless) Wake() {}

func (r restless) Looked() <-chan struct{} { return r }

// TestAwaitDigestsAtOnce: so many wait at once, and so many of one owner; who
// comes then looks once, and waits again when one of them has left.
func TestAwaitDigestsAtOnce(t *testing.T) {
	found := make(restless)
	close(found)
	b := newEnded(t, setup{change: func(c *upload.Config) { c.Instant, c.Digests = meta.ScopeOwner, found }})
	var wg sync.WaitGroup
	entered, leave, left := make(chan struct{}), make(chan struct{}), make(chan struct{}, upload.MaxAwaiting)
	defer wg.Wait()
	defer close(leave)
	enter := func(who protocol.Owner, n int) {
		for range n {
			wg.Go(func() {
				looks := 0
				if err := b.AwaitDigests(t.Context(), who, time.Hour, func() (bool, error) {
					if looks++; looks == 1 {
						return false, nil
					}
					entered <- struct{}{}
					<-leave
					return true, nil
				}); err != nil {
					t.Error(err)
				}
				if looks == 1 {
					t.Errorf("one of %s that may wait does not", who)
					entered <- struct{}{}
				}
				left <- struct{}{}
			})
		}
		for range n {
			<-entered
		}
	}
	looks := func(who protocol.Owner) (n int) {
		t.Helper()
		must(t, b.AwaitDigests(t.Context(), who, time.Hour, func() (bool, error) {
			n++
			return n == 2, nil
		}))
		return n
	}
	for _, who := range []protocol.Owner{owner, "bob", "carl"} {
		b.putSmall(who, "first.txt", "hello")
	}
	const rest = upload.MaxAwaiting - upload.MaxAwaitingOfOne
	enter(owner, upload.MaxAwaitingOfOne-1)
	if n := looks(owner); n != 2 {
		t.Errorf("the last of the owner's that may wait looked %d times", n)
	}
	enter(owner, 1)
	if n := looks(owner); n != 1 {
		t.Errorf("one more of the owner's looked %d times", n)
	}
	enter("bob", rest-1)
	if n := looks("carl"); n != 2 {
		t.Errorf("the last that may wait looked %d times", n)
	}
	enter("bob", 1)
	if n := looks("carl"); n != 1 {
		t.Errorf("one more looked %d times", n)
	}
	leave <- struct{}{}
	<-left
	if n := looks("carl"); n != 2 {
		t.Errorf("in the place of one who left: looked %d times", n)
	}
}
