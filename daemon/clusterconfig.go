package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/store"
)

// minClusterKey is how many characters the key of a cluster has at least.
const minClusterKey = 32

// ClusterConfig has the daemon be a node of a cluster: of all daemons that have
// the same database. Empty, the daemon is alone on its database.
type ClusterConfig struct {
	// PeerListen is host:port where the other nodes are listened to.
	PeerListen string `koanf:"peer_listen"`
	// Advertise is the host:port at which the other nodes reach PeerListen, where
	// that does not say it itself.
	Advertise string `koanf:"advertise"`
	// Key is the secret that all nodes share, and TLS what they show each other in
	// place of it: one of the two.
	Key store.Secret   `koanf:"key"`
	TLS PeerCertConfig `koanf:"tls"`
}

// PeerCertConfig is where a node's certificate lies, its key, and the
// certificates of the authority that signs those of all nodes, in PEM.
type PeerCertConfig struct {
	Cert string `koanf:"cert"`
	Key  string `koanf:"key"`
	CA   string `koanf:"ca"`
}

// on reports whether the daemon is a node of a cluster.
func (c ClusterConfig) on() bool { return c.PeerListen != "" }

// address is where the other nodes reach this one.
func (c ClusterConfig) address() string {
	if c.Advertise != "" {
		return c.Advertise
	}
	return c.PeerListen
}

// newNode is the node of a data folder to the database.
func (c *Config) newNode(id meta.NodeID) meta.NewNode {
	n := meta.NewNode{ID: id, Spot: spot(c.Data), Version: c.version, Alone: !c.joins}
	if c.joins {
		n.Address = c.Cluster.address()
	}
	return n
}

func (c ClusterConfig) check(db Database) error {
	tls := c.TLS != (PeerCertConfig{})
	if !c.on() && c.Advertise == "" && c.Key.Reveal() == "" && !tls {
		return nil
	}
	var errs []error
	if !db.shared() {
		errs = append(errs, errors.New("cluster: the nodes of a cluster share a database, and SQLite is this data folder's alone: give db the address of a Postgres database, or leave the section out"))
	}
	errs = append(errs, c.checkAddresses())
	switch {
	case tls && c.Key.Reveal() != "":
		errs = append(errs, errors.New("cluster: has both key and tls; nodes know each other by one of them: leave the other out"))
	case tls:
		errs = append(errs, c.TLS.check())
	case c.Key.Reveal() == "":
		errs = append(errs, errors.New("cluster: has neither key nor tls, by which nodes know each other; openssl rand -hex 32 makes a key"))
	default:
		errs = append(errs, c.checkKey())
	}
	return errors.Join(errs...)
}

func (c ClusterConfig) checkAddresses() error {
	if c.PeerListen == "" {
		return errors.New("cluster.peer_listen: is missing; it is the address, HOST:PORT, where this node listens to the others")
	}
	var errs []error
	host, err := peerAddress(c.PeerListen)
	ip, notIP := netip.ParseAddr(host)
	ip = ip.Unmap()
	switch {
	case err != nil:
		errs = append(errs, fmt.Errorf("cluster.peer_listen: %w", err))
	case host != "" && host != "localhost" && notIP != nil:
		errs = append(errs, fmt.Errorf("cluster.peer_listen: %q is not HOST:PORT with an IP address or localhost", c.PeerListen))
	case c.Advertise == "" && (host == "" || ip.IsUnspecified()):
		errs = append(errs, fmt.Errorf("cluster.advertise: is missing, and %q does not say at which address the other nodes reach this one", c.PeerListen))
	}
	if c.Advertise == "" {
		return errors.Join(errs...)
	}
	host, err = peerAddress(c.Advertise)
	ip, _ = netip.ParseAddr(host)
	ip = ip.Unmap()
	switch {
	case err != nil:
		errs = append(errs, fmt.Errorf("cluster.advertise: %w", err))
	case host == "" || ip.IsUnspecified():
		errs = append(errs, fmt.Errorf("cluster.advertise: %q is no address at which others reach this node", c.Advertise))
	}
	return errors.Join(errs...)
}

// peerAddress gives the host of HOST:PORT. A port that the system chooses is
// none that others can be told.
func peerAddress(text string) (host string, err error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", fmt.Errorf("%q is not HOST:PORT", text)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("%q has no port from 1 to 65535", text)
	}
	return host, nil
}

// checkKey allows a key by itself where nobody else can read along.
func (c ClusterConfig) checkKey() error {
	if n := len(c.Key.Reveal()); n < minClusterKey {
		return fmt.Errorf("cluster.key: has %d characters and needs %d at least; openssl rand -hex 32 makes one", n, minClusterKey)
	}
	for _, text := range []string{c.PeerListen, c.address()} {
		host, err := peerAddress(text)
		if err != nil {
			continue // checkAddresses tells of it
		}
		if ip, _ := netip.ParseAddr(host); host != "localhost" && !ip.IsLoopback() {
			return fmt.Errorf("cluster.key: %s can be reached from other machines, and what nodes send each other is not encrypted with a key alone: use tls, "+
				"or have the nodes be on one machine and listen on loopback", text)
		}
	}
	return nil
}

// check reads the files once, so that a start says what is missing.
func (t PeerCertConfig) check() error {
	var errs []error
	unmade := false
	for _, f := range []struct{ key, path string }{{"cert", t.Cert}, {"key", t.Key}, {"ca", t.CA}} {
		if f.path == "" {
			errs = append(errs, fmt.Errorf("cluster.tls.%s: is missing; it is the path of a file in PEM", f.key))
		} else if _, err := os.ReadFile(f.path); err != nil {
			errs = append(errs, fmt.Errorf("cluster.tls.%s: %w", f.key, err))
			unmade = unmade || errors.Is(err, fs.ErrNotExist)
		}
	}
	if unmade {
		errs = append(errs, errors.New("cluster.tls: ospd peer-cert --ca FOLDER makes peer.crt, peer.key and ca.crt of a node, in the folder peer of its data unless --out names another"))
	}
	return errors.Join(errs...)
}
