package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/token"
)

// Tokens makes and revokes the tokens of an installation, whether its daemon
// runs or not: it opens the database beside it, and takes no lock. Where the
// metadata is moved to another database meanwhile it changes nothing any more.
type Tokens struct {
	*token.Service
	db *meta.DB
}

// OpenTokens opens the database of an installation, and makes one where create
// is true and there is none: whoever listens off loopback needs a token before
// the first start. One of an older schema is refused and left as it is: the
// daemon that runs may be as old. Close ends it.
func OpenTokens(ctx context.Context, cfg Config, create bool, log *slog.Logger) (*Tokens, error) {
	if !create {
		if err := cfg.isUsed(ctx); err != nil {
			return nil, err
		}
	} else if !cfg.DB.shared() {
		if err := cfg.makeData(); err != nil {
			return nil, at(StageDatabase, err)
		}
	}
	database := cfg.metadata(log)
	database.KeepSchema = true
	db, err := meta.Open(ctx, database)
	if err != nil {
		return nil, at(StageDatabase, err)
	}
	return &Tokens{token.NewService(token.Config{Records: db, Logger: log}), db}, nil
}

// Close gives the database back.
func (t *Tokens) Close() error { return t.db.Close() }

// errUnused: no ospd has used the database yet, or there is none.
var errUnused = errors.New("no ospd has used it yet")

// isUsed is nil where an ospd has used the database, and errUnused where none
// has.
func (c *Config) isUsed(ctx context.Context) error {
	if c.DB.shared() {
		used, err := meta.UsedURL(ctx, *c.DB.address)
		if err == nil && !used {
			err = fmt.Errorf("the database %s: %w", c.DB, errUnused)
		}
		return at(StageDatabase, err)
	}
	if _, err := os.Stat(c.databasePath()); err != nil {
		return at(StageDatabase, fmt.Errorf("%s: %w: %w", c.Data, errUnused, err))
	}
	return nil
}

// mayStart refuses to make an installation that would not be served.
func (c *Config) mayStart(ctx context.Context) error {
	refusal := c.mayBeReached(ctx, nil)
	if refusal == nil {
		return nil
	}
	if err := c.isUsed(ctx); !errors.Is(err, errUnused) {
		return err
	}
	return refusal
}

// openAccess is who may do what, and how much of it.
func (c *Config) openAccess(ctx context.Context, db *meta.DB, log *slog.Logger) (*token.Service, error) {
	tokens := token.NewService(token.Config{Records: db, Logger: log})
	if err := c.mayBeReached(ctx, tokens); err != nil {
		return nil, err
	}
	if err := db.SetQuotas(ctx, c.Quotas.owners()); err != nil {
		return nil, at(StageDatabase, err)
	}
	if err := c.compareQuotas(ctx, db, log); err != nil {
		return nil, at(StageDatabase, err)
	}
	return tokens, nil
}

// mayBeReached refuses to serve other machines while nobody needs a token.
// tokens is nil where there is no database yet.
func (c *Config) mayBeReached(ctx context.Context, tokens *token.Service) error {
	local, err := isLoopback(c.Listen)
	if err != nil || local || c.Insecure {
		return at(StageConfig, err)
	}
	open := true
	if tokens != nil {
		if open, err = tokens.Open(ctx); err != nil {
			return at(StageDatabase, err)
		}
	}
	if !open {
		return nil
	}
	return at(StageConfig, errors.New("listen: "+c.Listen+" can be reached from other machines, and this daemon has no tokens: everybody could read and delete everything; "+
		"make one first (ospd token create), listen on 127.0.0.1, or say --insecure if the network itself keeps strangers out"))
}
