package cli

import "testing"

func TestChecksumLine(t *testing.T) {
	for name, want := range map[string]string{
		"a.bin":     "00  a.bin",
		" a ":       "00   a ",
		"*a":        "00  *a",
		`a\b`:       `\00  a\\b`,
		"a\nb":      `\00  a\nb`,
		"a\r":       `\00  a\r`,
		"a\x1b[2J":  "00  a\x1b[2J", // a terminal gets another form
		"größe\xff": "00  größe\xff",
	} {
		if got := checksumLine("00", name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
