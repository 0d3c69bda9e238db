package peer

import (
	"bytes"
	"crypto/x509"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestWhenTheLogIsReminded plays a year of a certificate's, minute by minute.
func TestWhenTheLogIsReminded(t *testing.T) {
	end := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		life time.Duration
		// far is how often it is told before the last day, last in it, and over in the
		// day after its end; first is when, before the end.
		far, last, over int
		first           time.Duration
	}{
		"of a year":  {365 * day, 29, 24, 24, 30 * day},
		"of 15 days": {15 * day, 4, 24, 24, 5 * day},
		"of a day":   {day, 0, 8, 24, 8 * time.Hour},
	} {
		e := ending{validity: validity{end.Add(-c.life), end}}
		var r reminder
		var far, last, over int
		var first time.Duration
		for now := e.from; now.Before(end.Add(day)); now = now.Add(time.Minute) {
			if !r.due(e, now) {
				continue
			}
			left := end.Sub(now)
			if first == 0 {
				first = left
			}
			switch {
			case left > day:
				far++
			case left > 0:
				last++
			default:
				over++
			}
		}
		if far != c.far || last != c.last || over != c.over || first != c.first {
			t.Errorf("%s: told %d times from %s before its end, %d in the last day, and %d after", name, far, first, last, over)
		}
	}
}

// TestACertificateThatEndsSoon is told of in the log, once, and in a note, with what
// ends and what to do; that of one in its place is too.
func TestACertificateThatEndsSoon(t *testing.T) {
	a := newAuthority(t)
	until := func(left time.Duration) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Now().Add(-day), time.Now().Add(left) }
	}
	var said bytes.Buffer
	certs, err := LoadCertificates(here, a.renew("here", here, until(30*time.Minute)), slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	told := func(now time.Time, want string) {
		t.Helper()
		said.Reset()
		for range 3 {
			certs.Remind(now)
		}
		if lines := said.String(); strings.Count(lines, "\n") != 1 || !strings.Contains(lines, want) || !strings.Contains(lines, string(here)) {
			t.Errorf("the log says %q", lines)
		}
		if note := certs.Note(now); !strings.Contains(note, want) {
			t.Errorf("the note is %q", note)
		}
	}
	now := time.Now()
	end := certs.Ends()
	told(now, "ends at "+end.UTC().Format(time.RFC3339))
	told(now.Add(2*time.Hour), "ended at")

	// The authority, which ends in an hour, ends before it: that is another thing to do.
	a.renew("here", here, until(90*time.Minute))
	certs.lookNow()
	if renewed := certs.Ends(); !renewed.After(end) || !renewed.Equal(a.cert.NotAfter) {
		t.Errorf("the renewed one ends at %s, the authority at %s", renewed, a.cert.NotAfter)
	}
	told(now.Add(59*time.Minute), "the authority that vouches")

	// So it is where both end together, as one that ospd peer-cert makes late does.
	a.renew("here", here, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Now().Add(-2*day), a.cert.NotAfter })
	certs.lookNow()
	if note := certs.Note(now.Add(59 * time.Minute)); !strings.Contains(note, "the authority that vouches") {
		t.Errorf("where both end together the note is %q", note)
	}

	said.Reset()
	certs.Remind(now)
	if note := certs.Note(now); note != "" || said.Len() > 0 {
		t.Errorf("long before its end: %q, log %s", note, &said)
	}
}
