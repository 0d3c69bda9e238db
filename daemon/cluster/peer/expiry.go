package peer

import (
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

const day = 24 * time.Hour

// remindFrom is how long before a certificate ends the log begins to tell, at most:
// of one that is made anew every few days it is a third of its time.
const remindFrom = 30 * day

// ending is when a node's certificate ends for others, which is when the first of its
// chain does.
type ending struct {
	validity
	// authority is true where one of who vouches for the node ends no later than the
	// node's own: one that is made anew would end with it.
	authority bool
}

// endingOf is the chain's that lasts longest.
func endingOf(chains [][]*x509.Certificate) (e ending) {
	for _, chain := range chains {
		if v := validityOf(chain); v.until.After(e.until) {
			e = ending{v, slices.ContainsFunc(chain[1:], func(c *x509.Certificate) bool { return !c.NotAfter.After(chain[0].NotAfter) })}
		}
	}
	return e
}

// soon reports whether an operator is to know of it.
func (e ending) soon(now time.Time) bool {
	return e.until.Sub(now) <= min(remindFrom, e.until.Sub(e.from)/3)
}

// note says when it is, and what to do.
func (e ending) note(now time.Time) string {
	what := "the certificate by which other nodes know this one"
	does := "ospd peer-cert makes another, which is used without a restart"
	if e.authority {
		what = "the authority that vouches for this node among the others"
		does = "put the certificates of the old and of a new one into the ca file of every node, then make the nodes' own anew"
	}
	if !e.until.After(now) {
		return fmt.Sprintf("%s ended at %s: no node takes requests of this one; %s", what, e.until.UTC().Format(time.RFC3339), does)
	}
	return fmt.Sprintf("%s ends at %s, after which no node takes requests of this one; %s", what, e.until.UTC().Format(time.RFC3339), does)
}

// reminder is when the log was told of an ending last.
type reminder struct{ told, end time.Time }

// due reports whether the log is to be told now: once a day, and each hour from the
// last day on. Another certificate, which may end soon too, is told of at once.
func (r *reminder) due(e ending, now time.Time) bool {
	if !e.soon(now) {
		return false
	}
	every := day
	if e.until.Sub(now) <= day {
		every = time.Hour
	}
	if e.until.Equal(r.end) && now.Sub(r.told) < every {
		return false
	}
	r.told, r.end = now, e.until
	return true
}

// Ends is when no node takes the certificate in force any more.
func (c *Certificates) Ends() time.Time { return c.now().ends.until }

// Note says what an operator should know of that, "" where it is far off.
func (c *Certificates) Note(now time.Time) string {
	if e := c.now().ends; e.soon(now) {
		return e.note(now)
	}
	return ""
}

// Remind has the log tell of an ending that is near, where it was not told of late.
// It is called often.
func (c *Certificates) Remind(now time.Time) {
	e := c.now().ends
	c.mu.Lock()
	due := c.reminder.due(e, now)
	c.mu.Unlock()
	switch {
	case !due:
	case e.until.After(now):
		c.log.Warn(e.note(now), "node", c.node, "file", c.files.Cert)
	default:
		c.log.Error(e.note(now), "node", c.node, "file", c.files.Cert)
	}
}
