// Package profile is what osp remembers of daemons from one run to the next:
// for each profile a server and where its token comes from, in one file that is
// its user's alone.
package profile

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/adrg/xdg"

	"github.com/osproxy/osproxy/protocol"
)

// DefaultName is the profile that holds where none is named.
const DefaultName = "default"

// Profile is one daemon and how to be let in. At most one of Token and
// TokenCommand is set.
type Profile struct {
	// Server is the daemon's URL; "" leaves it to flags, variables and default.
	Server string `yaml:"server,omitempty"`
	Token  Secret `yaml:"token,omitempty"`
	// TokenCommand is a line for sh that prints the token.
	TokenCommand string `yaml:"token_command,omitempty"`
}

// Config is the whole file.
type Config struct {
	// Current is the profile that holds where no flag or variable names one;
	// "" is DefaultName.
	Current  string             `yaml:"current,omitempty"`
	Profiles map[string]Profile `yaml:"profiles,omitempty"`
}

// DefaultPath is config.yaml in $OSP_HOME where that is set, else in osp under
// $XDG_CONFIG_HOME or what stands for it on this system.
func DefaultPath() string {
	if home := os.Getenv("OSP_HOME"); home != "" {
		return filepath.Join(home, fileName)
	}
	return filepath.Join(xdg.ConfigHome, "osp", fileName)
}

const fileName = "config.yaml"

// maxName bounds the name of a profile.
const maxName = 64

// CheckName accepts 1 to 64 of [A-Za-z0-9._-]; any other name is KindUsage.
func CheckName(name string) error {
	odd := func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("._-", c)
	}
	if name == "" || len(name) > maxName || strings.ContainsFunc(name, odd) {
		// Cut short, since it may be a token in the wrong place.
		e := protocol.Errorf(protocol.KindUsage, "%.16q is no name of a profile", name)
		e.Hint = "A name is 1 to 64 of A-Z a-z 0-9 . _ -."
		return e
	}
	return nil
}

// check refuses what no run can work with.
func (c Config) check() error {
	if c.Current != "" {
		if err := CheckName(c.Current); err != nil {
			return err
		}
	}
	for name, p := range c.Profiles {
		if err := CheckName(name); err != nil {
			return err
		}
		if p.Token != "" && p.TokenCommand != "" {
			return protocol.Errorf(protocol.KindUsage, "profile %s has both a token and a token_command; remove one of them", name)
		}
	}
	return nil
}

// holdsToken reports whether any profile has a token.
func (c Config) holdsToken() bool {
	for _, p := range c.Profiles {
		if p.Token != "" {
			return true
		}
	}
	return false
}

// runsCommand reports whether any profile has a token_command.
func (c Config) runsCommand() bool {
	for _, p := range c.Profiles {
		if p.TokenCommand != "" {
			return true
		}
	}
	return false
}
