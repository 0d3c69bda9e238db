package store

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a text that is not printed, logged or marshalled, by itself or as a
// part of something else. The zero value is the empty secret.
type Secret struct {
	// text is behind a pointer: fmt prints the fields of a value that it may not
	// ask how it wants to be printed, and does not follow pointers there.
	text *string
}

// hidden is what is printed in place of a secret.
const hidden = "(hidden)"

// NewSecret keeps text.
func NewSecret(text string) Secret { return Secret{&text} }

// Reveal is the text, for whoever signs with it.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// String says that there is a secret, or "" for the empty one.
func (s Secret) String() string {
	if s.Reveal() == "" {
		return ""
	}
	return hidden
}

// Format has every verb of fmt print String.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) } // as fmt, which has nobody to tell

// MarshalText is String.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is NewSecret.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}

// LogValue is String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
