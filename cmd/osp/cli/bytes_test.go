package cli

import "testing"

// TestByteCount: what --max-size takes is what --bwlimit does, for a size.
func TestByteCount(t *testing.T) {
	for s, want := range map[string]int64{
		"0": 0, "5": 5, "10M": 10_000_000, "10m": 10_000_000, "1.5MiB": 3 << 19, "4 GB": 4_000_000_000, "2Gi": 2 << 30, "4.999999M": 4_999_999,
		"9007199254740993": 1<<53 + 1, "9223372036854775807": 1<<63 - 1,
	} {
		var b byteCount
		if err := b.Set(s); err != nil || !b.given || b.n != want {
			t.Errorf("%q is %d, %v, want %d", s, b.n, err, want)
		}
	}
	for _, s := range []string{"", "-1", "-5M", "M", "x", "10X", "9223372036854775808", "10E", "1e400", "NaN"} {
		var b byteCount
		if err := b.Set(s); err == nil || b.given || b.String() != "" {
			t.Errorf("%q is %d", s, b.n)
		}
	}
}
