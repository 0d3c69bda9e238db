//go:build servers && linux

package cluster

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// verb is what a client asks for.
type verb int

// The verbs: of an upload, and of any file.
const (
	putPart verb = iota
	commit
	claim
	abort
	remove
	read
)

func (v verb) String() string {
	return [...]string{"part", "commit", "claim", "abort", "delete", "read"}[v]
}

// call is one request: verb of the file, with the content that a part or a
// claim has.
type call struct {
	verb    verb
	file    int
	content int
}

// outcome is what came of it.
type outcome int

// The outcomes. unknown is of what was not answered, or with a 5xx: it may have
// happened, or happen later, or never.
const (
	done outcome = iota
	committed
	notFound
	missing
	refused
	unknown
)

func (o outcome) String() string {
	return [...]string{"done", "409 committed", "404", "409 parts_missing", "409 claim_refused", "unknown"}[o]
}

// reply is an outcome, with the content that the answer has, if it has one.
type reply struct {
	outcome outcome
	content int
}

// none is no content.
const none = -1

// phase is the state of a file as DESIGN.md has it.
type phase int8

const (
	open phase = iota
	live
	gone
)

// file is what is known of one: the content of its part while it is open, its
// own while it lives.
type file struct {
	phase   phase
	content int8
}

// filesOfHistory are the files of a history: seeds are there from the
// beginning, the others are uploads.
const (
	seeds          = 3
	filesOfHistory = seeds + 9
)

// state is all of them.
type state [filesOfHistory]file

func initial() state {
	var s state
	for i := range s {
		s[i] = file{open, none}
		if i < seeds {
			s[i] = file{live, int8(i)}
		}
	}
	return s
}

// model is what one daemon does that takes one request after the other.
func model() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return initial() },
		Step: func(s, in, out any) (bool, any) {
			return s.(state).step(in.(call), out.(reply))
		},
		DescribeOperation: func(in, out any) string { return describe(in.(call), out.(reply)) },
		DescribeState:     func(s any) string { return fmt.Sprint(s.(state)) },
	}
}

func describe(c call, r reply) string {
	text := fmt.Sprintf("%s %d", c.verb, c.file)
	if c.content != none {
		text += fmt.Sprintf(" of %d", c.content)
	}
	text += ": " + r.outcome.String()
	if r.content != none {
		text += fmt.Sprintf(" %d", r.content)
	}
	return text
}

// step reports whether the answer is right in that state, and what the state
// is then. What is unknown happened where it could; where it did not, it stands
// at the end of the history.
func (s state) step(c call, r reply) (bool, state) {
	f := s[c.file]
	next := s
	happens := func(to file) (bool, state) {
		next[c.file] = to
		return r.outcome == done || r.outcome == unknown, next
	}
	refuses := func(o outcome) (bool, state) { return r.outcome == o || r.outcome == unknown, s }
	switch {
	case c.verb == claim && r.outcome == refused:
		return true, s // a claim may always be refused
	case f.phase == gone, c.verb == read && f.phase == open, c.verb == remove && f.phase == open:
		return refuses(notFound)
	case c.verb == read:
		return r.content == int(f.content), s
	case c.verb == remove:
		return happens(file{gone, none})
	case c.verb == commit && f.phase == live:
		return r.outcome == unknown || r.outcome == done && r.content == int(f.content), s // repeated
	case f.phase == live:
		return refuses(committed)
	case c.verb == putPart:
		return happens(file{open, int8(c.content)})
	case c.verb == abort:
		return happens(file{gone, none})
	case c.verb == commit && f.content == none:
		return refuses(missing)
	case c.verb == commit:
		ok, next := happens(file{live, f.content})
		return ok && (r.outcome == unknown || r.content == int(f.content)), next
	default:
		if !s.holds(c.content) {
			return r.outcome == unknown, s
		}
		return happens(file{live, int8(c.content)})
	}
}

// holds reports whether some file lives that has the content.
func (s state) holds(content int) bool {
	for _, f := range s {
		if f.phase == live && int(f.content) == content {
			return true
		}
	}
	return false
}
