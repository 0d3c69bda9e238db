package cli

import (
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// console is where osp prints: results alone on out, everything else on err.
// It is safe for concurrent use, writes whole lines, and takes a drawn bar off
// the screen before it writes anything else.
type console struct {
	mu       sync.Mutex
	out, err io.Writer
	// erase removes the bar from the terminal; nil while none is drawn.
	erase func()
	// failed is the first error of writing results: they were lost.
	failed error
}

// result writes one line to standard output.
func (c *console) result(line []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.uncover()
	if _, err := c.out.Write(append(line, '\n')); err != nil && c.failed == nil {
		c.failed = err
	}
}

// note writes lines to standard error.
func (c *console) note(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.uncover()
	_, _ = io.WriteString(c.err, text+"\n") // there is nobody else to tell
}

// errors is standard error as a Writer, for what another program says.
func (c *console) errors() io.Writer { return spoken{c} }

type spoken struct{ con *console }

// Write passes p on as it is.
func (s spoken) Write(p []byte) (int, error) {
	s.con.mu.Lock()
	defer s.con.mu.Unlock()
	s.con.uncover()
	return s.con.err.Write(p)
}

// draw lets a bar write itself to standard error; erase undoes what it drew.
func (c *console) draw(bar func(), erase func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	bar()
	c.erase = erase
}

// uncover takes the bar away; the next draw brings it back.
func (c *console) uncover() {
	if c.erase != nil {
		c.erase()
		c.erase = nil
	}
}

// clear takes the bar away for good.
func (c *console) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.uncover()
}

// lost is the first error of writing to standard output.
func (c *console) lost() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// columns is how wide the terminal of standard error is now; 80 where it does
// not say.
func (c *console) columns() int {
	if f, ok := c.err.(*os.File); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
			return n
		}
	}
	return 80
}

// isTerminal reports whether a stream is one a person looks at or types into.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
