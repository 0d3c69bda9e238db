//go:build !linux

package transfer

import (
	"errors"
	"os"
)

// unnamed is a file without a name, which this system does not have.
type unnamed struct{ *os.File }

func openUnnamed(target) *unnamed { return nil }

func (u *unnamed) link(string) error { return errors.ErrUnsupported }

func (u *unnamed) close() error { return u.File.Close() }
