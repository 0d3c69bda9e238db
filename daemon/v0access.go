package daemon

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/osproxy/osproxy/daemon/api"
	"github.com/osproxy/osproxy/protocol"
)

// V0AccessConfig lets callers without a token use version 0 of the API, from
// given addresses. Empty, it lets nobody.
type V0AccessConfig struct {
	// Owner is whom such callers are.
	Owner protocol.Owner `koanf:"owner"`
	// From are addresses, and blocks of them (192.0.2.0/24). One text may hold
	// several, with commas between: a variable of the environment has no lists.
	From []string `koanf:"from"`
}

func (c V0AccessConfig) check() error {
	_, err := c.access()
	return err
}

// access is what the API makes of it.
func (c V0AccessConfig) access() (a api.V0Access, err error) {
	var errs []error
	for _, list := range c.From {
		for text := range strings.SplitSeq(list, ",") {
			p, err := addressBlock(strings.TrimSpace(text))
			if err != nil {
				errs = append(errs, fmt.Errorf("v0_access.from: %w", err))
				continue
			}
			a.From = append(a.From, p)
		}
	}
	switch {
	case c.Owner == "" && len(c.From) == 0:
		return a, nil
	case c.Owner == "":
		errs = append(errs, errors.New("v0_access.owner: whose files callers from these addresses reach has to be said"))
	case len(c.From) == 0:
		errs = append(errs, errors.New("v0_access.from: there is no address"))
	}
	if c.Owner != "" {
		if err := protocol.CheckOwner(c.Owner); err != nil {
			errs = append(errs, fmt.Errorf("v0_access.owner: %w", err))
		}
	}
	a.Owner = c.Owner
	return a, errors.Join(errs...)
}

// addressBlock reads a block of addresses, or one.
func addressBlock(text string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(text); err == nil && ip.Zone() == "" {
		ip = ip.Unmap()
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil || p.Addr().Is4In6():
		return p, fmt.Errorf("%q is neither an IP address nor a block of them, such as 192.0.2.0/24", text)
	case p.Masked() != p:
		return p, fmt.Errorf("%s has bits behind its length; %s is the block", p, p.Masked())
	}
	return p, nil
}
