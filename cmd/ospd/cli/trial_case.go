package cli

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/osproxy/osproxy/store/storetest"
)

// trialCase is one case of the suite, as its T, and what came of it.
type trialCase struct {
	ctx  context.Context
	name string
	took time.Duration

	mu       sync.Mutex
	cleanups []func()
	failed   bool
	messages []string // why it failed
	notes    []string // what it said besides
	causes   []error  // those among what it said
}

var _ storetest.T = (*trial)(nil)

func (c *trialCase) Helper() {}

func (c *trialCase) Context() context.Context { return c.ctx }

func (c *trialCase) Cleanup(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cleanups = append(c.cleanups, f)
}

func (c *trialCase) Logf(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.notes = append(c.notes, fmt.Sprintf(format, args...))
}

func (c *trialCase) Errorf(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = true
	c.messages = append(c.messages, fmt.Sprintf(format, args...))
	for _, arg := range args {
		if err, ok := arg.(error); ok {
			c.causes = append(c.causes, err)
		}
	}
}

func (c *trialCase) Fatalf(format string, args ...any) {
	c.Errorf(format, args...)
	runtime.Goexit()
}

// Run runs a part of a case, as a part of it.
func (c *trialCase) Run(_ string, f func(storetest.T)) bool {
	f(c)
	return !c.failed
}

// run runs f, which may end its goroutine, and the cleanups.
func (c *trialCase) run(f func(storetest.T)) {
	start := time.Now()
	c.alone(func() { f(c) })
	for _, cleanup := range slices.Backward(c.cleanups) {
		c.alone(cleanup)
	}
	c.took = time.Since(start)
}

// alone runs f in a goroutine of its own and waits for it.
func (c *trialCase) alone(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				c.Errorf("panic: %v", p)
			}
		}()
		f()
	}()
	<-done
}
