package metatest

import (
	"context"
	"fmt"
	"sync"

	"github.com/osproxy/osproxy/protocol"
)

// action is what an actor does, with the context it is given. It gives its
// answer as text.
type action struct {
	name string
	run  func(ctx context.Context, s *stage) (string, error)
}

// actor is an action under way, which can be held at one of the points it
// comes to: before each statement, and after the last.
type actor struct {
	action
	holdAt         int
	held, released chan struct{}
	ended          chan struct{}
	// answer is what the action gave, once it has ended.
	answer string

	mu     sync.Mutex
	passed int
	free   bool
}

type actorKey struct{}

// atPoint is where an operation comes to a point.
func atPoint(ctx context.Context) {
	if a, ok := ctx.Value(actorKey{}).(*actor); ok {
		a.come()
	}
}

func (a *actor) come() {
	a.mu.Lock()
	a.passed++
	hold := a.passed == a.holdAt && !a.free
	a.mu.Unlock()
	if hold {
		close(a.held)
		<-a.released
	}
}

// arrives waits until the actor, in whose way nobody is, is held, or has ended.
func (a *actor) arrives() (held bool) {
	select {
	case <-a.held:
		return true
	case <-a.ended:
		return false
	}
}

// points is how many it came to.
func (a *actor) points() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.passed
}

// release lets it go on, and not be held any more.
func (a *actor) release() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.free {
		a.free = true
		close(a.released)
	}
}

func happened(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// answerOf is an answer as text.
func answerOf(text string, err error) string {
	switch kind := protocol.KindOf(err); {
	case err == nil:
		return text
	case kind != "":
		return string(kind)
	}
	return fmt.Sprint(err)
}
