package harness

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/creack/pty"
)

// Terminal is a process whose standard input and error are a pseudo-terminal,
// and whose standard output is not. What is drawn is read as a terminal would
// read it.
type Terminal struct {
	*Process
	// Screen is what a person sees.
	Screen *Screen

	t      testing.TB
	master *os.File
	read   chan struct{}
}

// StartOnTerminal runs osp at a terminal of that many columns, with env added.
func (o *OSP) StartOnTerminal(columns int, env []string, args ...string) *Terminal {
	o.t.Helper()
	master, slave, err := pty.Open()
	if err == nil {
		err = pty.Setsize(master, &pty.Winsize{Rows: 24, Cols: uint16(columns)})
	}
	if err != nil {
		o.t.Fatalf("open a pseudo-terminal: %v", err)
	}
	cmd := exec.Command(o.binary, args...)
	cmd.Dir = o.Dir
	// What the tests themselves run under is not what this terminal is.
	cmd.Env = append(os.Environ(), "OSP_SERVER="+o.Server, "OSP_HOME="+o.Home, "TERM=xterm-256color", "CI=")
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdin, cmd.Stderr = slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	s := &Terminal{Screen: &Screen{columns: columns}, t: o.t, master: master, read: make(chan struct{})}
	s.Process = startCommand(o.t, cmd)
	slave.Close()
	go func() {
		defer close(s.read)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			s.Screen.draw(buf[:n])
			if err != nil { // the process has ended, and nobody else has the terminal open
				return
			}
		}
	}()
	o.t.Cleanup(func() {
		s.Kill()
		<-s.read
		master.Close()
	})
	return s
}

// Type sends keys, as a person's.
func (s *Terminal) Type(keys string) {
	s.t.Helper()
	if _, err := s.master.WriteString(keys); err != nil {
		s.t.Fatalf("type %q: %v", keys, err)
	}
}

// Wait waits for the end of the process and of what it drew, and returns its
// exit code.
func (s *Terminal) Wait() int {
	s.t.Helper()
	exit := s.Process.Wait()
	<-s.read
	return exit
}

// Screen is a terminal of any height that understands lines and the return of
// the cursor: all that osp uses.
type Screen struct {
	columns int

	mu   sync.Mutex
	raw  []byte
	rest []byte // half a character
	// above are the lines that cannot be drawn over any more, now is the one
	// that is drawn, and at the cursor in it.
	above  string
	now    []rune
	at     int
	seen   []string
	broken []string
	odd    string
}

func (s *Screen) draw(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw = append(s.raw, p...)
	p = append(s.rest, p...)
	for len(p) > 0 && utf8.FullRune(p) {
		c, n := utf8.DecodeRune(p)
		s.put(c)
		p = p[n:]
	}
	s.rest = append([]byte(nil), p...)
}

func (s *Screen) put(c rune) {
	switch {
	case c == '\r':
		s.look()
		s.at = 0
	case c == '\n':
		s.look()
		s.above += s.line() + "\n"
		s.now, s.at = nil, 0
	case c < ' ' || c == 0x7F:
		s.odd += string(c)
	default:
		if s.at == s.columns {
			s.look()
			s.broken = append(s.broken, string(s.now))
			s.above += string(s.now)
			s.now, s.at = nil, 0
		}
		if s.at == len(s.now) {
			s.now = append(s.now, ' ')
		}
		s.now[s.at] = c
		s.at++
	}
}

func (s *Screen) line() string { return strings.TrimRight(string(s.now), " ") }

// look remembers the line as it is.
func (s *Screen) look() {
	if text := s.line(); text != "" {
		s.seen = append(s.seen, text)
	}
}

// Text is what is on the screen; a line that is broken because it is too wide
// counts as one.
func (s *Screen) Text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.above + s.line()
}

// Seen are all lines that were ever on the screen.
func (s *Screen) Seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// Broken are the beginnings of lines that were too wide. What is broken cannot
// be drawn over.
func (s *Screen) Broken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.broken)
}

// Odd are the control characters that were written besides line ends.
func (s *Screen) Odd() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.odd
}

// Raw are the bytes that were written, with the line ends as the process wrote
// them.
func (s *Screen) Raw() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.ReplaceAll(string(s.raw), "\r\n", "\n")
}
