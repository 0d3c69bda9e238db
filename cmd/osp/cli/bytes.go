package cli

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
)

// parseBytes reads a number of bytes. K, M and G are powers of 1000, Ki, Mi and Gi
// of 1024, and never of bits.
func parseBytes(s string) (int64, error) {
	// Digits alone are exact, which a number with a unit need not be.
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= 0 {
		return n, nil
	}
	n, err := humanize.ParseBytes(s)
	if err != nil || n > math.MaxInt64 || strings.HasPrefix(s, "-") {
		return 0, errors.New("not a number of bytes")
	}
	return int64(n), nil
}

// byteCount is a flag that is a number of bytes, with a unit or without.
type byteCount struct {
	n     int64
	given bool
}

func (b *byteCount) String() string {
	if !b.given {
		return ""
	}
	return strconv.FormatInt(b.n, 10)
}

// Set is pflag.Value.
func (b *byteCount) Set(s string) error {
	n, err := parseBytes(s)
	if err != nil {
		return errors.New("it is a number of bytes like 10M or 1.5MiB")
	}
	b.n, b.given = n, true
	return nil
}

// Type is pflag.Value.
func (b *byteCount) Type() string { return "BYTES" }
