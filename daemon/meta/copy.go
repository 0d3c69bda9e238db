package meta

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"

	"github.com/osproxy/osproxy/protocol"
)

// CopyConfig says where the metadata goes.
type CopyConfig struct {
	// URL of the Postgres database, postgres://…, with nothing in it.
	URL string
	// Homes are the nodes that are the homes of local stores, by the stores' names,
	// which the other database is told: nobody else can reach this one.
	Homes map[string]NodeID
	// Node is whose the folders are that files were imported from: in the other database
	// there may be those of other nodes, of the same names.
	Node NodeID
	// Progress is told of each table: when its rows are in the copy, and when
	// they were read back and compared. It may be nil.
	Progress func(t CopiedTable, verified bool)
}

// CopiedTable is a table of which all rows were copied.
type CopiedTable struct {
	Name string
	Rows int64
}

// CopyTo moves the metadata to a Postgres database, from SQLite: it copies
// every table in one transaction there, reads every row back and compares it.
// When it returns nil this database is marked as moved, so that nobody opens it
// by mistake, and the other is complete. With an error the other is one that
// Open refuses, and this one as it was; only where it says that the outcome is
// not known are both refused, until CopyTo is called again and finds out.
//
// Nobody else may use this database meanwhile; who tries to write to it is
// kept waiting.
func (db *DB) CopyTo(ctx context.Context, c CopyConfig) (list []CopiedTable, err error) {
	if db.cfg.URL != "" {
		return nil, protocol.Errorf(protocol.KindBadRequest, "the metadata is on Postgres already, only that on SQLite can be copied")
	}
	t, err := newCopyTarget(c.URL, db.cfg.Logger)
	if err != nil {
		return nil, err
	}
	moved, err := db.marked(ctx)
	if err != nil {
		return nil, err
	}
	if moved != nil {
		// Both marks have one id until this one is off, wherever that is cut short.
		t.id = moved.id
	}
	if err := t.prepare(ctx, moved); err != nil {
		return nil, t.asError(err)
	}
	if moved != nil { // by a copy that was killed before its end, as prepare knows
		if err := db.update(ctx, full, "begin the copy anew", (*tx).unmark); err != nil {
			return nil, err
		}
	}
	if err := t.begin(ctx); err != nil {
		return nil, t.asError(err)
	}
	defer t.close()
	err = db.update(ctx, full, "copy the metadata", func(x *tx) (err error) {
		if list, err = x.copyTo(ctx, t, c.Progress); err == nil {
			err = errors.Join(t.claimHomes(ctx, c.Homes), t.claimFolders(ctx, c.Node))
		}
		return t.asError(err)
	})
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("the copy was given up, the source is as it was: %w", ctx.Err())
	}
	if err != nil {
		return nil, err
	}
	return list, db.endCopy(ctx, t)
}

// endCopy makes the copy the one in use. This database says already that it
// is: had it to be said after the copy's commit, a crash between the two would
// leave two that both can be used.
func (db *DB) endCopy(ctx context.Context, t *copyTarget) error {
	known, err := t.commit(ctx)
	if err == nil || !known {
		return t.asError(err)
	}
	return errors.Join(t.asError(err), db.update(context.WithoutCancel(ctx), full, "give up the copy", (*tx).unmark))
}

func (db *DB) marked(ctx context.Context) (m *movedTo, err error) {
	err = db.look(ctx, "read whether the metadata was moved", func(q query) (err error) {
		m, err = q.moved()
		return err
	})
	return m, err
}

// copyTo runs in a transaction that writes, so that nobody else does.
func (t *tx) copyTo(ctx context.Context, to *copyTarget, progress func(CopiedTable, bool)) (list []CopiedTable, err error) {
	tell := func(c CopiedTable, verified bool) {
		if progress != nil {
			progress(c, verified)
		}
	}
	for _, table := range copiedTables() {
		n, err := t.copyTable(ctx, to, table)
		if err != nil {
			return nil, err
		}
		list = append(list, CopiedTable{table.name, n})
		tell(list[len(list)-1], false)
	}
	if err := to.analyze(ctx); err != nil {
		return nil, err
	}
	for i, table := range copiedTables() {
		if err := t.verifyTable(ctx, to, table); err != nil {
			return nil, err
		}
		tell(list[i], true)
	}
	if err := to.finish(ctx); err != nil {
		return nil, err
	}
	return list, t.markMoved(movedTo{id: to.id, at: timeOf(t.now), name: to.address.name()})
}

// newCopyID is of a copy to one database.
func newCopyID() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func newCopyTarget(url string, logger *slog.Logger) (*copyTarget, error) {
	address, err := parseAddress(url)
	if err != nil {
		return nil, &protocol.Error{Kind: protocol.KindBadRequest, Message: "the address to copy to: " + err.Error()}
	}
	return &copyTarget{address: address, dialect: pgDialect(), logger: logger, id: newCopyID()}, nil
}
