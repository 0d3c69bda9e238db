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
	v := NewVerifier(VerifierConfig{Self: there, Key: s.Key, Now: c.now})
	if _, err := v.Verify(t.Context(), before, nil); reasonOf(err) != ReasonForgotten {
		t.Errorf("sent before the start: %v", err)
	}
	began := c.at
	early := sign(t, Signer{Self: here, Key: s.Key, Now: func() time.Time { return began.Add(Window) }}, there, everything())
	if _, err := v.Verify(t.Context(), early, nil); err != nil {
		t.Fatal(err)
	}
	for after := time.Duration(0); after <= 2*Window; after += time.Second / 2 {
		c.at = began.Add(after)
		if _, err := v.Verify(t.Context(), early, nil); reasonOf(err) != ReasonReplayed {
			t.Fatalf("after %s: %v", after, err)
		}
		if _, err := v.Verify(t.Context(), sign(t, s, there, everything()), nil); err != nil {
			t.Fatalf("after %s: %v", after, err)
		}
	}
	c.at = began.Add(4 * Window)
	if _, err := v.Verify(t.Context(), sign(t, s, there, everything()), nil); err != nil {
		t.Fatal(err)
	}
	c.at = began.Add(Window)
	if _, err := v.Verify(t.Context(), early, nil); reasonOf(err) != ReasonReplayed {
		t.Errorf("after the clock was set back: %v", err)
	}
	c.at = began.Add(2*remembered + 4*Window)
	if _, err := v.Verify(t.Context(), sign(t, s, there, everything()), nil); err != nil {
		t.Fatal(err)
	}
	if v.nonces.held != 1 {
		t.Errorf("%d requests are remembered, want 1", v.nonces.held)
	}
}

// TestAClockThatIsSetBack: what is sent from then on is taken, whatever the time
// was before, and what was taken before is not taken once more as long as it is
// remembered.
func TestAClockThatIsSetBack(t *testing.T) {
	for name, back := range map[string]time.Duration{"a little": 2 * time.Second, "within the window": Window / 2, "beyond it": 10 * Window, "before the start": 100 * time.Hour} {
		c := newClock()
		s := Signer{Self: here, Key: key(t, "k"), Now: c.now}
		v := NewVerifier(VerifierConfig{Self: there, Key: s.Key, Now: c.now})
		var taken []Message
		for range 20 * 60 {
			c.at = c.at.Add(time.Second)
			m := sign(t, s, there, everything())
			if _, err := v.Verify(t.Context(), m, nil); err != nil {
				t.Fatal(err)
			}
			taken = append(taken, m)
		}
		for range 3 {
			c.at = c.at.Add(-back)
			for range 30 {
				if _, err := v.Verify(t.Context(), sign(t, s, there, everything()), nil); err != nil {
					t.Errorf("%s: what was sent after it: %v", name, err)
					break
				}
				c.at = c.at.Add(time.Second)
			}
			for _, m := range taken {
				if _, err := v.Verify(t.Context(), m, nil); err == nil {
					t.Fatalf("%s: what was taken before is taken once more", name)
				}
			}
		}
	}
}

// TestABusyNodeRemembersTheWindow alone.
func TestABusyNodeRemembersTheWindow(t *testing.T) {
	start := newClock().at
	const few = mostNonces / aFew
	n := newNonces(start, mostNonces)
	at := start.UnixMilli()
	for i := range 2 * few {
		if i%1000 == 0 {
			at += 1000
		}
		var k nonceKey
		k[0], k[1], k[2] = byte(i), byte(i>>8), byte(i>>16)
		if why := n.take(at, at, k); why != "" {
			t.Fatalf("%d: %s", i, why)
		}
	}
	if n.held > few+2000 {
		t.Errorf("%d are remembered", n.held)
	}
	if why := n.take(at, at-Window.Milliseconds(), nonceKey{9}); why != "" {
		t.Errorf("one at the end of the window: %s", why)
	}
}

func TestAFullMemoryRefuses(t *testing.T) {
	c := newClock()
	s := Signer{Self: here, Key: key(t, "k"), Now: c.now}
	v := NewVerifier(VerifierConfig{Self: there, Key: s.Key, Now: c.now})
	v.nonces.most = 2
	first := sign(t, s, there, everything())
	for _, m := range []Message{first, sign(t, s, there, everything())} {
		if _, err := v.Verify(t.Context(), m, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := v.Verify(t.Context(), sign(t, s, there, everything()), nil); reasonOf(err) != ReasonFull || protocol.KindOf(err) != protocol.KindUnavailable {
		t.Errorf("a third: %v", err)
	}
	if _, err := v.Verify(t.Context(), first, nil); reasonOf(err) != ReasonReplayed {
		t.Errorf("the first again: %v", err)
	}
	ping := sign(t, s, there, Message{Method: "GET", Path: PingPath})
	if _, err := v.Verify(t.Context(), ping, nil); err != nil {
		t.Errorf("a ping: %v", err)
	}
	if _, err := v.Verify(t.Context(), ping, nil); reasonOf(err) != ReasonReplayed {
		t.Errorf("the ping again: %v", err)
	}
	c.at = c.at.Add(Window + 2*time.Second)
	if _, err := v.Verify(t.Context(), sign(t, s, there, everything()), nil); err != nil {
		t.Errorf("after the window: %v", err)
	}
}
