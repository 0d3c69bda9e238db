package cli

import "strings"

// rateOff is the word of --bwlimit for no limit.
const rateOff = "off"

const (
	// leastRate keeps a forgotten unit from being taken for a rate: no transfer
	// would end at 20 bytes a second.
	leastRate = 8 << 10
	// leastShare is the rate below which a connection of its own is of no use to
	// a part: daemons, and what stands before them, give up on very slow bodies.
	leastShare = 32 << 10
	mostRate   = 1 << 50
)

// rates reads --bwlimit: one rate for either direction, or UP:DOWN. 0 is no
// limit.
func rates(s string) (up, down int64, err error) {
	first, second, two := strings.Cut(s, ":")
	if !two {
		second = first
	}
	if up, err = bytesPerSecond("--bwlimit", first); err == nil {
		down, err = bytesPerSecond("--bwlimit", second)
	}
	return up, down, err
}

// bytesPerSecond reads the rate of a flag.
func bytesPerSecond(flag, s string) (int64, error) {
	if s == rateOff {
		return 0, nil
	}
	n, err := parseBytes(strings.TrimSuffix(s, "/s"))
	if err != nil {
		pair := ""
		if flag == "--bwlimit" {
			pair = "UP:DOWN, "
		}
		return 0, usagef("%s is a number of bytes a second like 20M or 1.5MiB, %sor off, not %q", flag, pair, s)
	}
	if n < leastRate || n > mostRate {
		return 0, usagef("%s must be %s to %s a second, or off, not %q", flag, bytesText(leastRate), bytesText(mostRate), s)
	}
	return n, nil
}

// atOnce is how many requests may be in flight: fewer than --connections allows
// where each would get too little of the bandwidth.
func (g *globals) atOnce() int {
	n := g.connections
	for _, rate := range []int64{g.up, g.down} {
		if rate > 0 {
			n = min(n, int(max(rate/leastShare, 1)))
		}
	}
	return n
}
