package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/daemon"
)

type peerCertOptions struct {
	config    *configFlags
	ca        string
	out, node string
	days      int
}

func newPeerCert(e *env) *cobra.Command {
	o := &peerCertOptions{}
	cmd := &cobra.Command{
		Use:   "peer-cert --ca FOLDER",
		Short: "Make the certificate with which a node of a cluster speaks to its peers",
		Long: "Make the certificate with which a node of a cluster speaks to its peers, for\n" +
			"cluster.tls of its configuration: it names the node's id, the one of the data\n" +
			"folder, which gets one if it has none yet. Who signs is a certificate authority\n" +
			"of the cluster's own, in the file ca.pem of FOLDER, made if it is not there.\n" +
			"Keep that file where no node runs: who has it can be any node.\n\n" +
			"Written are peer.crt, peer.key and ca.crt, in which other authorities stay. Run it\n" +
			"again to renew them; a daemon that runs takes them up. With --node it makes those of a node elsewhere, whose id\n" +
			"is in the file node of its data folder.",
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return runPeerCert(e, o) },
	}
	o.config = addConfigFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.ca, "ca", "", "`FOLDER` of the certificate authority")
	f.StringVar(&o.node, "node", "", "`ID` of a node whose data folder is elsewhere; needs --out")
	f.StringVar(&o.out, "out", "", "`FOLDER` to write to; peer, in the data folder, unless given")
	f.IntVar(&o.days, "days", 3650, "how long the certificate is good, in days, and not longer than the authority's")
	return cmd
}

var nodeForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

func (o *peerCertOptions) check() error {
	switch {
	case o.ca == "":
		return errors.New("peer-cert: --ca is missing, the folder of the certificate authority")
	case o.node != "" && o.out == "":
		return errors.New("peer-cert: --node needs --out")
	case o.node != "" && !nodeForm.MatchString(o.node):
		return fmt.Errorf("peer-cert: --node %q is not 32 hex digits", o.node)
	case o.days < 1:
		return fmt.Errorf("peer-cert: --days %d is not at least 1", o.days)
	}
	return nil
}

func runPeerCert(e *env, o *peerCertOptions) error {
	if err := o.check(); err != nil {
		return usageError{err}
	}
	now := time.Now()
	ca, err := openAuthority(o.ca, now)
	if err != nil {
		return fmt.Errorf("the certificate authority: %w", err)
	}
	if ca.made {
		fmt.Fprintf(e.stderr, "ospd: a new authority was made in %s: nodes believe what it signs once its certificate is in their ca.crt too\n", o.ca)
	}
	node, out := o.node, o.out
	var to *owner
	if node == "" {
		cfg, err := o.config.read(e)
		if err != nil {
			return err
		}
		back := func() error { return nil }
		if to, err = ownerOf(cfg); err == nil {
			back, err = to.become()
		}
		if err != nil {
			return err
		}
		id, err := daemon.NodeID(cfg)
		if err != nil {
			return err
		}
		node = string(id)
		if out == "" {
			out = filepath.Join(cfg.Data, "peer")
		} else if err := back(); err != nil { // what is written there is the owner's, wherever that is
			return err
		}
	}
	until, err := ca.issue(node, out, to, now, now.AddDate(0, 0, o.days))
	if err != nil {
		return fmt.Errorf("make the certificate of node %s: %w", node, err)
	}
	_, err = fmt.Fprintf(e.stdout, "node %s: certificate until %s in %s\n", node, until.UTC().Format(time.DateOnly), out)
	return err
}
