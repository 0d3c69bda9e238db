package store

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
)

// Key names an object: "<dir>/<32 hex digits>". Those of objects are made here only, from
// 128 random bits, and are never used again, so that a late write or delete
// can never hit another object. They hold [a-z0-9/] only, so that no store
// needs to escape them.
type Key string

// Dir is the first half of a key: 8 lower-case hex digits. A local disk fills
// directories in turn, so that a group of small files syncs one directory.
type Dir string

// DirOf numbers directories.
func DirOf(n uint32) Dir { return Dir(fmt.Sprintf("%08x", n)) }

// NewKey makes a key in dir.
func NewKey(dir Dir) Key {
	var b [16]byte
	rand.Read(b[:])
	return Key(string(dir) + "/" + hex.EncodeToString(b[:]))
}

// TrialKey is the key under which a storage is tried with uploads that are given
// up at once, so that one that a death left is known for what it is. It has the
// form of a key, and no object ever has it.
const TrialKey Key = "00000000/00000000000000000000000000000000"

// Dir is the directory of k.
func (k Key) Dir() Dir {
	d, _, _ := strings.Cut(string(k), "/")
	return Dir(d)
}

// Valid reports whether k has the one form keys have. Backends refuse others.
func (k Key) Valid() bool {
	dir, name, ok := strings.Cut(string(k), "/")
	return ok && len(dir) == 8 && len(name) == 32 && isHex(dir) && isHex(name)
}

// Check is nil for a valid key and an error that is ErrKey otherwise.
func (k Key) Check() error {
	if !k.Valid() {
		return fmt.Errorf("%q: %w", string(k), ErrKey)
	}
	return nil
}

// Valid reports whether d has the one form directories have.
func (d Dir) Valid() bool { return len(d) == 8 && isHex(string(d)) }

func isHex(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
