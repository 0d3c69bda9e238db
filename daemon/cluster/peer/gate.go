package peer

import (
	"errors"
	"io"
	"sync"
	"time"
)

// interruptEvery is how often a reader is told again to end.
const interruptEvery = 10 * time.Millisecond

// errStopped ends net/http's reading of a body that nobody wants any more.
var errStopped = errors.New("the peer has answered, or is gone")

// gate stands between the body of a request and net/http, which goes on reading
// behind the back of whoever gave it the body. It gives nothing before the peer
// asked for the body, nothing once it was stopped, and exactly as much as was
// announced.
type gate struct {
	src io.Reader
	// interrupt makes a Read of src that is under way return; nil for a src that
	// does by itself.
	interrupt func()

	// asked is closed when the peer wants the body, released when net/http may
	// end its connection.
	asked, released   chan struct{}
	askOnce, freeOnce sync.Once

	mu      sync.Mutex
	idle    *sync.Cond
	left    int64 // Unsized: not known
	reading bool
	begun   bool
	ended   bool
	stopped bool
	err     error
}

func newGate(r Request) *gate {
	g := &gate{src: r.Body, interrupt: r.Interrupt, left: r.Length, asked: make(chan struct{}), released: make(chan struct{})}
	g.idle = sync.NewCond(&g.mu)
	return g
}

func (g *gate) ask()     { g.askOnce.Do(func() { close(g.asked) }) }
func (g *gate) release() { g.freeOnce.Do(func() { close(g.released) }) }

// Read is net/http's. Where the gate was stopped it waits: an error would end
// the connection on which the answer still comes.
func (g *gate) Read(p []byte) (int, error) {
	select {
	case <-g.asked:
	case <-g.released:
		return 0, errStopped
	}
	if len(p) == 0 {
		return 0, nil
	}
	most, err := g.begin(len(p))
	if err != nil {
		return 0, err
	}
	if most == 0 {
		<-g.released
		return 0, errStopped
	}
	n, err := g.src.Read(p[:most])
	if err, stopped := g.end(n, err); !stopped {
		return n, err
	}
	<-g.released
	return 0, errStopped
}

// begin says how much may be read now: nothing once the gate was stopped.
func (g *gate) begin(most int) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.ended:
		return 0, io.EOF
	case g.err != nil:
		return 0, g.err
	case g.stopped:
		return 0, nil
	}
	g.reading, g.begun = true, true
	if g.left >= 0 {
		most = int(min(int64(most), g.left))
	}
	return most, nil
}

func (g *gate) end(n int, err error) (error, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reading = false
	g.idle.Broadcast()
	if g.left >= 0 {
		g.left -= int64(n)
	}
	switch {
	case g.left == 0 || err == io.EOF && g.left < 0:
		g.ended = true
		return nil, false
	case g.stopped:
		return nil, true
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	g.err = err
	return err, false
}

// Close is net/http's; what it was given stays its owner's.
func (g *gate) Close() error { return nil }

// stop has nobody read src from now on, and waits for who does. It reports
// whether something of the body was read, and whether all was.
func (g *gate) stop() (begun, whole bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopped = true
	if g.reading && g.interrupt != nil {
		done := make(chan struct{})
		var told sync.WaitGroup
		told.Go(func() { g.tell(done) })
		defer told.Wait()
		defer close(done)
	}
	for g.reading {
		g.idle.Wait()
	}
	return g.begun, g.ended
}

// tell interrupts until done: who reads may have been about to begin.
func (g *gate) tell(done <-chan struct{}) {
	tick := time.NewTicker(interruptEvery)
	defer tick.Stop()
	for {
		g.interrupt()
		select {
		case <-done:
			return
		case <-tick.C:
		}
	}
}

// failure is the error of src.
func (g *gate) failure() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}
