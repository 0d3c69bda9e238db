// Package bulk fills databases with very many files behind the back of the
// verbs, which take hours for as many. What it writes is what the verbs would
// have left a day later: nothing is due, no event is kept.
package bulk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// Files are small committed files of one owner, each with a content of its own
// that lies in a blob of its own. They are numbered from 1; the number is the uid
// and the id of content and blob.
type Files struct {
	Owner protocol.Owner
	// Store is where the blobs lie.
	Store string
	// Size is that of each, in bytes, at most a block.
	Size int64
	// Name, Key and Content are those of the file of a number.
	Name, Key func(n int64) string
	Content   func(n int64) (protocol.Digest, protocol.Fingerprint)
}

// portion is how many files are written in one transaction.
const portion = 10_000

// table is rows of one table, one for each file.
type table struct {
	name    string
	columns []string
	row     func(n int64) []any
}

// sink is a database that rows are written to.
type sink interface {
	// rows writes those of the files from first through last.
	rows(ctx context.Context, t table, first, last int64) error
	// charge records what the owner has now, in one file more than it had each.
	charge(ctx context.Context, owner protocol.Owner, files, bytes int64) error
	// end makes what was written durable.
	end(ctx context.Context) error
}

// index is one that is not there while files are written: to sort all of it at
// once takes a fraction of the time.
type index struct{ name, made string }

// without runs write while the indexes are not there.
func without(indexes []index, exec func(text string) error, write func() error) error {
	for _, i := range indexes {
		if err := exec("DROP INDEX " + i.name); err != nil {
			return err
		}
	}
	err := write()
	for _, i := range indexes {
		err = errors.Join(err, exec(i.made))
	}
	return err
}

// fill writes files first through last, a portion at a time.
func (f Files) fill(ctx context.Context, first, last int64, begin func(ctx context.Context) (sink, error)) error {
	tables := f.tables(time.Now().UnixMilli())
	for ; first <= last; first += portion {
		through := min(first+portion-1, last)
		s, err := begin(ctx)
		if err != nil {
			return err
		}
		for _, t := range tables {
			if err := s.rows(ctx, t, first, through); err != nil {
				return fmt.Errorf("fill %s: %w", t.name, err)
			}
		}
		count := through - first + 1
		if err := s.charge(ctx, f.Owner, count, count*f.Size); err != nil {
			return fmt.Errorf("count the files of %s: %w", f.Owner, err)
		}
		if err := s.end(ctx); err != nil {
			return err
		}
	}
	return nil
}

// tables are in the order in which rows refer to each other.
func (f Files) tables(now int64) []table {
	block := make([]byte, 64) // SHA-256, XXH3 and that of the head
	return []table{
		{"contents", []string{"id", "digest", "size", "fingerprint", "state", "created_at"}, func(n int64) []any {
			digest, fingerprint := f.Content(n)
			return []any{n, digest[:], f.Size, fingerprint[:], "live", now}
		}},
		{"block_digests", []string{"content_id", "seq", "triples"}, func(n int64) []any { return []any{n, int64(0), block} }},
		{"blobs", []string{"id", "store", "key", "size", "state", "created_at"}, func(n int64) []any {
			return []any{n, f.Store, f.Key(n), f.Size, "live", now}
		}},
		{"extents", []string{"content_id", "seq", "blob_id", "blob_offset", "length"}, func(n int64) []any {
			return []any{n, int64(0), n, int64(0), f.Size}
		}},
		{"files", []string{"uid", "owner", "name", "content_id", "etag", "state", "created_at", "committed_at"}, func(n int64) []any {
			digest, _ := f.Content(n)
			return []any{n, string(f.Owner), f.Name(n), n, `"` + digest.String() + `"`, "committed", now, now}
		}},
	}
}

// charged adds to an owner's counters.
const charged = `INSERT INTO quotas (owner, bytes, files) VALUES ($1, $2, $3)
	ON CONFLICT (owner) DO UPDATE SET bytes = quotas.bytes + excluded.bytes, files = quotas.files + excluded.files`
