package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// QuotaConfig bounds what owners may have.
type QuotaConfig struct {
	// Default holds for every owner that Owners does not name.
	Default Quota `koanf:"default"`
	// Owners by name. What is left out of one is Default's.
	Owners map[string]Quota `koanf:"owners"`
}

// Quota bounds what one owner may have; what is not given is not bounded.
type Quota struct {
	// Bytes of all files together, as their owner sees them: equal content
	// counts for each.
	Bytes *int64 `koanf:"bytes"`
	// Files, those in the making among them.
	Files *int64 `koanf:"files"`
	// Uploads that are open at the same time.
	Uploads *int64 `koanf:"uploads"`
}

func (c *Config) checkQuotas() error {
	errs := []error{c.Quotas.Default.check("quotas.default")}
	for owner, q := range c.Quotas.Owners {
		if err := protocol.CheckOwner(protocol.Owner(owner)); err != nil {
			errs = append(errs, fmt.Errorf("quotas.owners: %w", err))
		}
		errs = append(errs, q.check("quotas.owners."+owner))
	}
	return errors.Join(errs...)
}

func (q Quota) check(key string) error {
	for name, v := range map[string]*int64{"bytes": q.Bytes, "files": q.Files, "uploads": q.Uploads} {
		if v != nil && *v < 0 {
			return fmt.Errorf("%s.%s: %d is negative; leave it out for no limit", key, name, *v)
		}
	}
	return nil
}

func (q Quota) meta() meta.Quota {
	return meta.Quota{Bytes: q.Bytes, Files: q.Files, Uploads: q.Uploads}
}

// sum tells one configuration of quotas from another.
func (c QuotaConfig) sum() (string, error) {
	text, err := json.Marshal(c)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), err
}

// compareQuotas warns of other quotas than those with which a node of the cluster
// was started before that lives: those of owners are in the database, where the
// last start wins, and the default is each node's own.
func (c *Config) compareQuotas(ctx context.Context, db *meta.DB, log *slog.Logger) error {
	sum, err := c.Quotas.sum()
	if err != nil {
		return err
	}
	before, err := db.NoteQuotas(ctx, sum)
	if err != nil || before == "" || before == sum || !c.joins {
		return err
	}
	nodes, err := db.Nodes(ctx)
	if err != nil {
		return err
	}
	living := 0
	for _, n := range nodes {
		if n.Living {
			living++
		}
	}
	if living > 1 {
		log.Warn("the quotas of this node's configuration are not those with which another node was started last: its quotas of owners hold no longer, " +
			"and its default holds for what it is asked; give all nodes the same quotas, and start those that have others again")
	}
	return nil
}

// owners are the quotas of the owners that have one of their own.
func (c QuotaConfig) owners() map[protocol.Owner]meta.Quota {
	own := make(map[protocol.Owner]meta.Quota, len(c.Owners))
	for owner, q := range c.Owners {
		m, def := q.meta(), c.Default.meta()
		if m.Bytes == nil {
			m.Bytes = def.Bytes
		}
		if m.Files == nil {
			m.Files = def.Files
		}
		if m.Uploads == nil {
			m.Uploads = def.Uploads
		}
		own[protocol.Owner(owner)] = m
	}
	return own
}

// of is what is in force for an owner.
func (c QuotaConfig) of(owner protocol.Owner) meta.Quota {
	if q, ok := c.owners()[owner]; ok {
		return q
	}
	return c.Default.meta()
}
