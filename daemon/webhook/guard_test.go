package webhook

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// permissive is what tests need to reach their own servers.
var permissive = Guard{AllowPrivate: true, AllowHTTP: true, AnyPort: true}

func TestCheckURL(t *testing.T) {
	for text, says := range map[string]string{
		"https://example.com/hook?x=1":       "",
		"https://example.com:443/":           "",
		"https://example.com:8443/hook":      "",
		"https://example.com.":               "",
		"https://xn--bcher-kva.example/hook": "",
		"https://[2606:4700::1111]/":         "",
		"https://93.184.216.34/":             "",

		"":                                       "does not begin with https",
		"http://example.com/":                    "does not begin with https",
		"ftp://example.com/":                     "does not begin with https",
		"//example.com/":                         "does not begin with https",
		"https:example.com":                      "names no host",
		"https:///hook":                          "names no host",
		"https://user:pw@example.com/":           "has a user",
		"https://user@example.com/":              "has a user",
		"https://example.com/#x":                 "a fragment",
		"https://example.com:80/":                "has port 80",
		"https://example.com:22/":                "has port 22",
		"https://example.com:99999/":             "has port 99999",
		"https://bücher.example/":                "cannot be read",
		"https://example.com/ x":                 "cannot be read",
		"https://example.com/\x7f":               "cannot be read",
		"https://exa mple.com/":                  "cannot be read",
		"https://" + strings.Repeat("a", maxURL): "cannot be read",

		"https://localhost/":             "leads to this machine",
		"https://LOCALHOST./":            "leads to this machine",
		"https://a.localhost/":           "leads to this machine",
		"https://127.0.0.1/":             "may not reach",
		"https://127.0.0.1./":            "may not reach",
		"https://[::1]/":                 "may not reach",
		"https://[::ffff:127.0.0.1]/":    "may not reach",
		"https://[::ffff:7f00:1]/":       "may not reach",
		"https://[64:ff9b::7f00:1]/":     "may not reach",
		"https://[fe80::1%25eth0]/":      "may not reach",
		"https://169.254.169.254/latest": "may not reach",
		"https://2130706433/":            "host of digits",
		"https://0x7f000001/":            "host of digits",
		"https://017700000001/":          "host of digits",
		"https://0177.0.0.1/":            "host of digits",
		"https://127.1/":                 "host of digits",
		"https://127.0.0.0x1/":           "host of digits",
		"https://0x7f.0.0.1/":            "host of digits",
		"https://1.1.1.1.1/":             "host of digits",
		"https://example.1/":             "host of digits",
	} {
		err := Guard{}.CheckURL(text)
		switch {
		case says == "" && err != nil:
			t.Errorf("%q: %v", text, err)
		case says != "" && (protocol.KindOf(err) != protocol.KindBadRequest || !strings.Contains(err.Error(), says)):
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
	for _, text := range []string{"http://localhost:8080/", "https://10.0.0.1:1/", "http://[::1]:9/"} {
		if err := permissive.CheckURL(text); err != nil {
			t.Errorf("%q is not allowed where everything is: %v", text, err)
		}
	}
	if err := (Guard{AllowHTTP: true}).CheckURL("http://example.com:80/"); err != nil {
		t.Errorf("the port of http: %v", err)
	}
	for _, text := range []string{"http://169.254.169.254/", "https://0.0.0.0/", "https://0x7f000001/", "https://[64:ff9b::a00:1]/"} {
		if permissive.CheckURL(text) == nil {
			t.Errorf("%q is allowed where private addresses are", text)
		}
	}
}

// addresses are of each range that a webhook may not reach, and of its edges.
func TestCheckAddr(t *testing.T) {
	for text, want := range map[string]struct{ public, private bool }{
		"1.1.1.1": {true, true}, "2606:4700::1111": {true, true}, "::ffff:1.1.1.1": {true, true}, "2001:4860::8888": {true, true},
		"99.255.255.255": {true, true}, "100.128.0.0": {true, true}, "172.32.0.0": {true, true}, "11.0.0.0": {true, true},

		"127.0.0.1": {false, true}, "127.255.255.255": {false, true}, "10.0.0.1": {false, true}, "172.16.0.1": {false, true},
		"172.31.255.255": {false, true}, "192.168.1.1": {false, true}, "100.64.0.1": {false, true}, "100.127.255.255": {false, true},
		"::1": {false, true}, "fc00::1": {false, true}, "fd12::1": {false, true}, "::ffff:10.0.0.1": {false, true},

		"0.0.0.0": {}, "0.1.2.3": {}, "169.254.0.1": {}, "169.254.169.254": {}, "224.0.0.1": {}, "239.255.255.255": {}, "240.0.0.1": {},
		"255.255.255.255": {}, "192.0.0.1": {}, "192.0.2.1": {}, "198.18.0.1": {}, "198.51.100.1": {}, "203.0.113.1": {}, "192.88.99.1": {},
		"::": {}, "::7f00:1": {}, "fe80::1": {}, "fe80::1%eth0": {}, "fec0::1": {}, "ff02::1": {}, "64:ff9b::1.1.1.1": {}, "64:ff9b:1::1": {},
		"100::1": {}, "2001::1": {}, "2001:db8::1": {}, "2002:7f00:1::": {}, "::ffff:169.254.169.254": {}, "::ffff:0.0.0.0": {},
	} {
		ip := netip.MustParseAddr(text)
		if ok := (Guard{}).checkAddr(ip) == nil; ok != want.public {
			t.Errorf("%s is allowed: %v", text, ok)
		}
		if ok := permissive.checkAddr(ip) == nil; ok != want.private {
			t.Errorf("%s is allowed where private addresses are: %v", text, ok)
		}
	}
	if (Guard{}).checkAddr(netip.Addr{}) == nil {
		t.Error("no address is one")
	}
}

// names answers each lookup of a name with the next of its answers.
type names struct {
	answers map[string][][]netip.Addr
	asked   int
}

func (n *names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.asked++
	list := n.answers[host]
	if len(list) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	if len(list) > 1 {
		n.answers[host] = list[1:]
	}
	return list[0], nil
}

func ips(texts ...string) (list []netip.Addr) {
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list
}

// Every address of a name must be allowed, and a name is asked for once: one
// that changes its mind between the check and the connection gains nothing.
func TestDialChecksEveryAddress(t *testing.T) {
	r := &names{answers: map[string][][]netip.Addr{
		"private.example": {ips("10.0.0.1")},
		"mixed.example":   {ips("1.1.1.1", "127.0.0.1")},
		"mapped.example":  {ips("::ffff:127.0.0.1")},
		"nothing.example": {nil},
	}}
	for host, want := range map[string]error{
		"private.example": errAddress, "mixed.example": errAddress, "mapped.example": errAddress, "nothing.example": nil, "unknown.example": nil,
		"127.0.0.1": errAddress, "::1": errAddress, "2130706433": errAddress, "0x7f.1": errAddress,
	} {
		conn, err := Guard{}.dial(t.Context(), r, "tcp", net.JoinHostPort(host, "443"))
		if err == nil {
			_ = conn.Close()
			t.Errorf("%s: connected", host)
		}
		if want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v", host, err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	// It rebinds to where nothing may go; the first answer is what is dialled.
	rebinds := &names{answers: map[string][][]netip.Addr{"rebinds.example": {ips("127.0.0.1"), ips("169.254.169.254")}}}
	conn, err := permissive.dial(t.Context(), rebinds, "tcp", "rebinds.example:"+port)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if rebinds.asked != 1 {
		t.Errorf("the name was looked up %d times", rebinds.asked)
	}
	if _, err := permissive.dial(t.Context(), rebinds, "tcp", "rebinds.example:"+port); !errors.Is(err, errAddress) {
		t.Errorf("the next time: %v", err)
	}
}

// What the system is about to connect to is looked at once more.
func TestControl(t *testing.T) {
	for address, ok := range map[string]bool{
		"1.1.1.1:443": true, "[2606:4700::1111]:443": true, "127.0.0.1:443": false, "[::ffff:127.0.0.1]:443": false,
		"[fe80::1%1]:443": false, "localhost:443": false, "": false,
	} {
		if err := (Guard{}).control("tcp", address, nil); (err == nil) != ok {
			t.Errorf("%q: %v", address, err)
		}
	}
}
