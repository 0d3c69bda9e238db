package peer

import (
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// TestNothingIsForgottenInTheWindow: what was taken is refused as long as its
// time would do, whatever the clock does, and so is what may have been taken
// before there was a memory.
func TestNothingIsForgottenInTheWindow(t *testing.T) {
	c := newClock()
	s := Signer{Self: here, Key: key(t, "k"), Now: c.now}
	before := sign(t, s, there, everything())
	c.at = c.at.Add(time.Second)
	v := NewVerifier(there, s.Key, c.now)
	if _, err := v.Verify(before, nil); reasonOf(err) != ReasonForgotten {
		t.Errorf("sent before the start: %v", err)
	}
	began := c.at
	early := sign(t, Signer{Self: here, Key: s.Key, Now: func() time.Time { return began.Add(Window) }}, there, everything())
	if _, err := v.Verify(early, nil); err != nil {
		t.Fatal(err)
	}
	for after := time.Duration(0); after <= 2*Window; after += time.Second / 2 {
		c.at = began.Add(after)
		if _, err := v.Verify(early, nil); reasonOf(err) != ReasonReplayed {
			t.Fatalf("after %s: %v", after, err)
		}
		if _, err := v.Verify(sign(t, s, there, everything()), nil); err != nil {
			t.Fatalf("after %s: %v", after, err)
		}
	}
	c.at = began.Add(4 * Window)
	if _, err := v.Verify(sign(t, s, there, everything()), nil); err != nil {
		t.Fatal(err)
	}
	if v.nonces.held != 1 {
		t.Errorf("%d requests are remembered, want 1", v.nonces.held)
	}
	c.at = began.Add(Window)
	if _, err := v.Verify(early, nil); reasonOf(err) != ReasonForgotten {
		t.Errorf("after the clock was set back: %v", err)
	}
}

func TestAFullMemoryRefuses(t *testing.T) {
	c := newClock()
	s := Signer{Self: here, Key: key(t, "k"), Now: c.now}
	v := NewVerifier(there, s.Key, c.now)
	v.nonces.most = 2
	first := sign(t, s, there, everything())
	for _, m := range []Message{first, sign(t, s, there, everything())} {
		if _, err := v.Verify(m, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := v.Verify(sign(t, s, there, everything()), nil); reasonOf(err) != ReasonFull || protocol.KindOf(err) != protocol.KindUnavailable {
		t.Errorf("a third: %v", err)
	}
	if _, err := v.Verify(first, nil); reasonOf(err) != ReasonReplayed {
		t.Errorf("the first again: %v", err)
	}
	c.at = c.at.Add(Window + 2*time.Second)
	if _, err := v.Verify(sign(t, s, there, everything()), nil); err != nil {
		t.Errorf("after the window: %v", err)
	}
}
