package webhook

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"syscall"

	"github.com/osproxy/osproxy/protocol"
)

// Guard says where webhooks may lead. What an owner gives as the address of a
// webhook makes this daemon send a request, from inside of whatever network it
// stands in; so none goes anywhere but to the public internet unless the
// operator says so. The zero value allows the least.
type Guard struct {
	// AllowPrivate allows addresses of this machine and of private networks.
	AllowPrivate bool
	// AllowHTTP allows http beside https.
	AllowHTTP bool
	// AnyPort allows ports other than 443 and 8443.
	AnyPort bool
}

// maxURL bounds the address of a webhook in bytes.
const maxURL = 2048

// CheckURL says what is wrong with the address of a webhook, as far as that can
// be seen without asking for a name's addresses: KindBadRequest.
func (g Guard) CheckURL(text string) error {
	bad := func(what, hint string) error {
		return &protocol.Error{Kind: protocol.KindBadRequest, Message: "the url of the webhook " + what + "; nothing was changed", Hint: hint}
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || len(text) > maxURL || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		return bad("cannot be read", "Give an https URL of at most 2,048 ASCII characters; a name in another script in its ASCII form (xn--).")
	case u.Scheme != "https" && (u.Scheme != "http" || !g.AllowHTTP):
		return bad("does not begin with https://", "The operator can allow http with webhooks.allow_http.")
	case u.User != nil:
		return bad("has a user or password in it", "The signature tells the receiver who sends.")
	case u.Fragment != "" || u.Opaque != "" || u.Hostname() == "":
		return bad("names no host, or a fragment", "Give it as https://host/path.")
	}
	if port := u.Port(); !g.AnyPort && port != "" && port != "443" && port != "8443" && (port != "80" || u.Scheme != "http") {
		return bad("has port "+port, "Use 443 or 8443; the operator can allow others with webhooks.any_port.")
	}
	host := strings.TrimSuffix(u.Hostname(), ".")
	if ip, err := netip.ParseAddr(host); err == nil {
		if err := g.checkAddr(ip); err != nil {
			return bad("leads to an address that webhooks may not reach", "The operator can allow private addresses with webhooks.allow_private.")
		}
		return nil
	}
	if looksNumeric(host) {
		return bad("has a host of digits that is no IP address", "Write an IPv4 address as four decimal numbers.")
	}
	if !g.AllowPrivate && (strings.EqualFold(host, "localhost") || strings.HasSuffix(strings.ToLower(host), ".localhost")) {
		return bad("leads to this machine", "The operator can allow private addresses with webhooks.allow_private.")
	}
	return nil
}

// looksNumeric reports whether some resolver may take a name for an IPv4
// address in decimal, octal or hexadecimal form: its last label is a number.
func looksNumeric(host string) bool {
	last := strings.ToLower(host[strings.LastIndexByte(host, '.')+1:])
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return last == "" || strings.Trim(last, "0123456789") == ""
}

// errAddress is all that anybody is told of where a name led.
var errAddress = errors.New("the address is one that webhooks may not reach")

// denied are the ranges that are not of the public internet, or lead back into
// others. RFC 6890 and what came after it.
var denied = prefixes(
	"0.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10",
)

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

// checkAddr refuses an address that webhooks may not reach. AllowPrivate allows
// those of machines: loopback and what is private. Addresses that are no one
// machine's are refused all the same.
func (g Guard) checkAddr(ip netip.Addr) error {
	ip = ip.Unmap()
	switch {
	case !ip.IsValid() || ip.Zone() != "" || ip.IsUnspecified() || ip.IsMulticast() || ip.IsLinkLocalUnicast():
		return errAddress
	case ip.IsLoopback() || ip.IsPrivate() || carrier.Contains(ip):
		if !g.AllowPrivate {
			return errAddress
		}
		return nil
	}
	for _, p := range denied {
		if p.Contains(ip) {
			return errAddress
		}
	}
	return nil
}

// carrier is what providers, and some clouds, number their own networks with.
var carrier = netip.MustParsePrefix("100.64.0.0/10")

// Resolver finds the addresses of a name; net.DefaultResolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// dial connects to one of the addresses of a name, all of which must be
// allowed. It connects to the addresses that were checked and asks for them no
// second time, and control looks once more at where the system is about to go.
func (g Guard) dial(ctx context.Context, r Resolver, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	ips, err := lookup(ctx, r, host)
	if err != nil {
		return nil, err
	}
	for _, ip := range ips {
		if err := g.checkAddr(ip); err != nil {
			return nil, err
		}
	}
	d := net.Dialer{Control: g.control}
	var errs []error
	for _, ip := range ips {
		conn, err := d.DialContext(ctx, network, net.JoinHostPort(ip.Unmap().String(), port))
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// control is asked by the system before it connects.
func (g Guard) control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return errAddress
	}
	return g.checkAddr(to.Addr())
}

func lookup(ctx context.Context, r Resolver, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}, nil
	}
	if looksNumeric(strings.TrimSuffix(host, ".")) {
		return nil, errAddress
	}
	ips, err := r.LookupNetIP(ctx, "ip", host)
	if err == nil && len(ips) == 0 {
		err = errors.New("the name has no address")
	}
	return ips, err
}
