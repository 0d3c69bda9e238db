package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
	"github.com/osproxy/osproxy/protocol"
)

// recordsOwner is whose all files of a database are.
const recordsOwner protocol.Owner = "bench"

// records is the database of an ospd that nothing else uses.
type records struct {
	name string
	cfg  meta.Config
	*meta.DB
	// ids are given away: uids, and the numbers that contents are made of.
	ids atomic.Int64
}

func openedRecords(ctx context.Context, name string, cfg meta.Config) (*records, error) {
	cfg.Logger = slog.New(slog.DiscardHandler)
	db, err := meta.Open(ctx, cfg)
	return &records{name: name, cfg: cfg, DB: db}, err
}

// close closes the database where it is open.
func (r *records) close() (err error) {
	if r.DB != nil {
		err = r.DB.Close()
	}
	r.DB = nil
	return err
}

// openRecords opens an empty database of each kind. Postgres is left out where
// its programs are not installed, which the table says.
func (b *bench) openRecords(ctx context.Context) (all []*records, end func() error, err error) {
	var server *pgtest.Server
	end = func() error {
		var errs []error
		for _, r := range all {
			errs = append(errs, r.close())
		}
		if server != nil {
			errs = append(errs, server.Stop())
		}
		return errors.Join(errs...)
	}
	one, err := openedRecords(ctx, "SQLite", meta.Config{Path: filepath.Join(b.dir, "records.db")})
	if err != nil {
		return nil, end, err
	}
	all = []*records{one}
	if server, err = pgtest.Start(ctx, true); err != nil {
		b.table.leaveOut("Postgres", err)
		return all, end, nil
	}
	if one, err = openedRecords(ctx, "Postgres", meta.Config{URL: server.URL("postgres")}); err != nil {
		return all, end, err
	}
	all = append(all, one)
	return all, end, nil
}

// eachRecords does something in each round with a database of each kind.
func (b *bench) eachRecords(ctx context.Context, do func(r *records) error) (err error) {
	all, end, err := b.openRecords(ctx)
	defer func() { err = errors.Join(err, end()) }()
	if err != nil {
		return err
	}
	return b.rounds(ctx, nil, func(system, int) error {
		for _, r := range all {
			if err := do(r); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		}
		return nil
	})
}

// load has clients call do one call after the other, n times in all, and
// gives what that took.
func (r *records) load(ctx context.Context, clients, n int, do func(ctx context.Context, client int) error) (sample, error) {
	took := make([][]time.Duration, clients)
	began := time.Now()
	err := each(ctx, clients, clients, func(ctx context.Context, client int) error {
		for range n / clients {
			before := time.Now()
			if err := do(ctx, client); err != nil {
				return err
			}
			took[client] = append(took[client], time.Since(before))
		}
		return nil
	})
	wall := time.Since(began)
	all := slices.Concat(took...)
	return sample{wall: wall, requests: len(all), rate: float64(len(all)) / wall.Seconds(),
		p50: quantile(all, 0.5), p99: quantile(all, 0.99)}, err
}

// begin begins an upload.
func (r *records) begin(ctx context.Context) (meta.Upload, error) {
	id := r.ids.Add(1)
	return r.BeginUpload(ctx, meta.NewUpload{FileFields: meta.FileFields{Owner: recordsOwner, Name: nameOf(id)}, UID: protocol.UID(id),
		CreatedAt: time.Now(), PartSize: protocol.MinPartSize, InPlace: &meta.NewBlob{Store: "disk", Key: keyOf(id)}}, nil)
}

// part records part n of an upload, of the greatest size.
func (r *records) part(ctx context.Context, u meta.Upload, n protocol.PartNumber) (gen int64, err error) {
	const blocks = protocol.MinPartSize / protocol.BlockSize
	return r.RecordPart(ctx, recordsOwner, u.UID, meta.NewPart{Number: n, Offset: int64(n-1) * protocol.MinPartSize, Length: protocol.MinPartSize,
		Blocks: make([]protocol.Block, blocks), Blob: u.Blob, BlobOffset: int64(n-1) * protocol.MinPartSize, BootID: "boot"})
}

// commit commits an upload of one part.
func (r *records) commit(ctx context.Context, u meta.Upload, gen int64) error {
	digest, fingerprint := contentOf(int64(u.UID))
	_, err := r.Commit(ctx, meta.Commit{Owner: recordsOwner, UID: u.UID, Gen: gen, CommittedAt: time.Now(), Size: protocol.MinPartSize,
		Digest: &digest, Fingerprint: &fingerprint, ETag: `"` + digest.String() + `"`, Blocks: make([]protocol.Block, protocol.MinPartSize/protocol.BlockSize),
		Extents: []meta.Extent{{Blob: u.Blob, Length: protocol.MinPartSize}}})
	return err
}

// put makes a small file.
func (r *records) put(ctx context.Context) error {
	id := r.ids.Add(1)
	digest, fingerprint := contentOf(id)
	_, err := r.PutFile(ctx, meta.NewFile{FileFields: meta.FileFields{Owner: recordsOwner, Name: nameOf(id)}, UID: protocol.UID(id),
		CommittedAt: time.Now(), Size: smallSize, Digest: digest, Fingerprint: fingerprint, ETag: `"` + digest.String() + `"`,
		Blocks: make([]protocol.Block, 1), Blob: &meta.NewBlob{Store: "disk", Key: keyOf(id), Size: smallSize}}, nil)
	return err
}

// smallSize is that of all small files.
const smallSize = 16 << 10

func nameOf(id int64) string { return fmt.Sprintf("folder-%04d/file-%09d.bin", id%1000, id) }

func keyOf(id int64) string { return fmt.Sprintf("%08x/%032x", id>>12, id) }

// contentOf is what content a file has, another for each.
func contentOf(id int64) (d protocol.Digest, f protocol.Fingerprint) {
	binary.BigEndian.PutUint64(d[:], uint64(id)*0x9e3779b97f4a7c15) // spread like hashes are
	binary.BigEndian.PutUint64(f[:], uint64(id)*0xbf58476d1ce4e5b9)
	return d, f
}
