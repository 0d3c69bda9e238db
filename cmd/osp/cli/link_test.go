package cli

import (
	"errors"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// TestOfArgument: what the daemon numbers within one of several requests is the
// argument of that number, not of the first thousand.
func TestOfArgument(t *testing.T) {
	of := func(message string) error { return &protocol.Error{Kind: protocol.KindBadName, Message: message} }
	args := []string{"c", "d"}
	for _, c := range []struct {
		message string
		before  int
		want    string
	}{
		{"links[1]: it is bad; none was signed", 0, "d: it is bad; none was signed"},
		{"links[0]: it is bad; none was signed", 2000, "c: it is bad; none was signed, but the 2000 before, which are printed"},
		{"links[2]: it is bad", 0, "links[2]: it is bad"},
		{"links[-1]: it is bad", 0, "links[-1]: it is bad"},
		{"links[x]: it is bad", 0, "links[x]: it is bad"},
		{"1]: it is bad", 0, "1]: it is bad"},
		{"it is bad", 0, "it is bad"},
	} {
		err := ofArgument(of(c.message), args, c.before)
		if e, ok := errors.AsType[*protocol.Error](err); !ok || e.Message != c.want || e.Kind != protocol.KindBadName {
			t.Errorf("%s: %v, want %s", c.message, err, c.want)
		}
	}
	if other := errors.New("links[0]: x"); ofArgument(other, args, 0) != other {
		t.Error("another error is changed")
	}
}
