//go:build postgres || servers

package process

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
	"github.com/osproxy/osproxy/docs/schema/schematest"
	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// osproxyTables are what osproxy makes of its models at its start.
const osproxyTables = `
CREATE TABLE "meta_data_info" ("id" bigserial NOT NULL, "uid" bigint NOT NULL, "bucket" text NOT NULL, "name" text NOT NULL, "storage_name" text NOT NULL,
	"address" text NOT NULL, "md5" text, "height" bigint, "width" bigint, "storage_size" bigint, "multi_part" boolean NOT NULL, "part_num" bigint,
	"status" bigint, "content_type" text, "compress_uid" bigint, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, PRIMARY KEY ("id", "uid"));
CREATE TABLE "multi_part_info" ("id" bigserial NOT NULL, "storage_uid" bigint NOT NULL, "chunk_num" bigint NOT NULL, "bucket" text NOT NULL,
	"storage_name" text NOT NULL, "storage_size" bigint, "part_file_name" text NOT NULL, "part_md5" text NOT NULL, "status" bigint NOT NULL,
	"created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, PRIMARY KEY ("id"))`

// osproxy is an osproxy that was stopped: its database, and where its objects
// are put.
type osproxy struct {
	*testing.T
	dsn  string
	db   *pgx.Conn
	uids int64
	// put puts an object into a bucket.
	put func(bucket, name, mediaType string, data []byte)
	// want are the bytes of the files that it has.
	want map[protocol.UID][]byte
}

// newOsproxy makes one on a database of a server.
func newOsproxy(t *testing.T, s *pgtest.Server, name string) *osproxy {
	t.Helper()
	if _, err := pgtest.Create(t.Context(), s.Dir(), name, "template0"); err != nil {
		t.Fatal(err)
	}
	// Its ids have milliseconds since December 2014, a node, and a number.
	o := &osproxy{T: t, dsn: s.URL(name), want: map[protocol.UID][]byte{}, uids: (time.Now().UnixMilli()-1417937700000)<<22 | 1<<12}
	var err error
	if o.db, err = pgx.Connect(t.Context(), o.dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.db.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if _, err := o.db.Exec(t.Context(), osproxyTables); err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *osproxy) exec(text string, args ...any) {
	o.Helper()
	if _, err := o.db.Exec(o.Context(), text, args...); err != nil {
		o.Fatal(err)
	}
}

// bucketOf is the bucket that osproxy chooses by a name's extension.
func bucketOf(name string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".png", ".jpg":
		return "image"
	case ".mp4":
		return "video"
	case ".zip":
		return "archive"
	}
	return "unknown"
}

// row is what osproxy has of a file; link makes it as it begins, before
// something is uploaded.
type osproxyRow struct {
	uid                int64
	name, bucket, file string
	md5                string
	size               int64
	multi              bool
	parts, status      int
	kind               string
}

func (o *osproxy) link(name string) *osproxyRow {
	o.uids += 1 << 22
	return &osproxyRow{uid: o.uids, name: url.PathEscape(name), bucket: bucketOf(name), file: fmt.Sprintf("%d.%s", o.uids, strings.TrimPrefix(path.Ext(name), ".")),
		status: -1, kind: "application/octet-stream"}
}

func (o *osproxy) insert(r *osproxyRow) *osproxyRow {
	o.Helper()
	at := time.Date(2023, 7, 8, 9, 10, 11, 12_000_000, time.UTC)
	o.exec(`INSERT INTO meta_data_info (uid, bucket, name, storage_name, address, md5, storage_size, multi_part, part_num, status, content_type, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)`,
		r.uid, r.bucket, r.name, r.file, r.bucket+"/"+r.file, r.md5, r.size, r.multi, r.parts, r.status, r.kind, at)
	return r
}

func md5Of(data []byte) string {
	sum := md5.Sum(data)
	return hex.EncodeToString(sum[:])
}

// uploaded is a row with its object; change may have the row say otherwise.
func (o *osproxy) uploaded(name string, data []byte, change func(*osproxyRow)) *osproxyRow {
	o.Helper()
	r := o.link(name)
	r.md5, r.size, r.status, r.kind = md5Of(data), int64(len(data)), 1, "image/png"
	object := r.file
	if change != nil {
		change(r)
	}
	o.put(r.bucket, object, r.kind, data)
	return o.insert(r)
}

// has expects that an import makes a file of the row.
func (o *osproxy) has(r *osproxyRow, data []byte) *osproxyRow {
	o.want[protocol.UID(r.uid)] = data
	return r
}

// inParts is a file that was never merged.
func (o *osproxy) inParts(name string, partNum int, parts ...[]byte) *osproxyRow {
	o.Helper()
	r := o.link(name)
	r.multi, r.parts, r.status = true, partNum, 1
	var whole []byte
	for i, p := range parts {
		whole = append(whole, p...)
		o.part(r, i+1, p)
	}
	r.md5, r.size = md5Of(whole), int64(len(whole))
	return o.insert(r)
}

// part puts a part, the last first: they come in any order.
func (o *osproxy) part(r *osproxyRow, n int, data []byte) {
	o.Helper()
	name := fmt.Sprintf("%d_%d", r.uid, n)
	o.put(r.bucket, name, "application/octet-stream", data)
	o.exec(`INSERT INTO multi_part_info (id, storage_uid, chunk_num, bucket, storage_name, storage_size, part_file_name, part_md5, status, created_at, updated_at)
		VALUES ((SELECT 1000000 - count(*) FROM multi_part_info), $1, $2, $3, $4, $5, $4, $6, 1, now(), now())`, r.uid, n, r.bucket, name, len(data), md5Of(data))
}

// imports runs the import and gives its exit, lines and summary, which it holds
// to their schemas.
func (o *osproxy) imports(args ...string) (exit int, rows []map[string]string, sum map[string]any) {
	o.Helper()
	p := harness.Start(o.T, nil, "", bin.OSPD, append([]string{"import-osproxy", "--dsn", o.dsn, "--json"}, args...)...)
	exit = p.Wait()
	if strings.Contains(p.Stdout()+p.Stderr(), o.dsn) {
		o.Errorf("the address was printed: %s", p.Stderr())
	}
	o.Log(p.Stderr())
	schemas, err := schematest.Load()
	if err != nil {
		o.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(p.Stdout(), "\n"), "\n")
	for i, line := range lines {
		if line == "" {
			break
		}
		schema, into := "osproxy_row.json", any(&rows)
		if i == len(lines)-1 {
			schema, into, line = "osproxy_summary.json", &sum, line+"\n"
		}
		if err := schemas.Check(schema, []byte(line)); err != nil {
			o.Errorf("%s: %v", line, err)
		}
		if i < len(lines)-1 {
			rows = append(rows, map[string]string{})
			var r struct{ UID, Outcome, Name, Message string }
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				o.Fatal(err)
			}
			rows[i] = map[string]string{"uid": r.UID, "outcome": r.Outcome, "name": r.Name, "message": r.Message}
		} else if err := json.Unmarshal([]byte(line), into); err != nil {
			o.Fatal(err)
		}
	}
	return exit, rows, sum
}

// counts expects numbers of a summary, and 0 of what is not named.
func (o *osproxy) counts(sum map[string]any, want map[string]int) {
	o.Helper()
	for _, name := range []string{"imported", "already", "updated", "deleted", "unfinished", "missing", "other_size", "failed", "changed", "renamed", "doubled", "unsummed"} {
		if got, _ := sum[name].(float64); int(got) != want[name] {
			o.Errorf("%s: %v, want %d (%v)", name, sum[name], want[name], sum)
		}
	}
}

// holds expects every file under the uid that osproxy gave it.
func (o *osproxy) holds(api *harness.API) {
	o.Helper()
	for uid, data := range o.want {
		api.MustHold(uid, data)
	}
	if got := len(api.Files()); got < len(o.want) {
		o.Errorf("%d files are listed, of %d", got, len(o.want))
	}
}
