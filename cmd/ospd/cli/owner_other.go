//go:build !unix

package cli

import (
	"os"

	"github.com/osproxy/osproxy/daemon"
)

// owner is a user other than root, whom only unix has.
type owner struct{}

func ownerOf(daemon.Config) (*owner, error) { return nil, nil }

func (*owner) become() (back func() error, err error) { return func() error { return nil }, nil }

func (*owner) give(*os.File) error { return nil }

func (*owner) folder(path string) error { return os.MkdirAll(path, 0o700) }
