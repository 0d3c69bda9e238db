// Package names is the rule of file names where they come in: by an upload, a
// one-shot put, a patch.
package names

import (
	"github.com/osproxy/osproxy/protocol"
	"golang.org/x/text/unicode/norm"
)

// Composed is the name in the normal form that Check asks for, for clients that
// cannot be told to send it so.
func Composed(name string) string { return norm.NFC.String(name) }

// Check refuses a name that no file may have (WIRE 8): KindBadName, with the
// rule it breaks. It is protocol.CheckName and, what that cannot check without
// Unicode's tables, that the name is in normal form C: two spellings that look
// the same would be two names, and some disks would make them one.
func Check(name string) error {
	if err := protocol.CheckName(name); err != nil {
		return err
	}
	if !norm.NFC.IsNormalString(name) {
		return &protocol.Error{
			Kind:    protocol.KindBadName,
			Message: "the name is not in Unicode normal form C; nothing was stored",
			Hint:    "Send the name composed (NFC): letters with accents as one character each.",
		}
	}
	return nil
}
