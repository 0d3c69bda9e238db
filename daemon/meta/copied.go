package meta

import (
	"fmt"
	"strings"
)

// copiedTable is a table that goes along when the metadata moves to another
// database.
type copiedTable struct {
	name string
	// key orders its rows, and nothing twice.
	key []string
	// columns are all it has, those of the key first.
	columns []string
	// numbered says that the database numbers its rows, by id.
	numbered bool
	// where leaves out rows of the one database that are not the other's.
	where string
}

// copiedTables are the tables that CopyTo copies, each behind those that it
// refers to: all but goose's own, which each database has from its migrations,
// and those of uncopied. A test holds them to the schema: a migration that adds
// a table or a column adds it here.
func copiedTables() []copiedTable {
	return []copiedTable{
		copies("settings", "name", "value").but("name NOT IN ('" + settingCopy + "', '" + settingMoved + "')"),
		copies("contents", "id", "digest size fingerprint sha256 md5 width height state gen created_at verified_at doomed_at media_type").byNumber(),
		copies("files", "uid", "owner name media_type content_id etag meta state created_at committed_at expires_at deleted_at aborted_at digest_due imported_from md5_said md5_agrees"),
		copies("block_digests", "content_id seq", "triples"),
		copies("blobs", "id", "store key size node state owner_kind owner_id owner_lease created_at doomed_at gone_at overlong compose_id origin tag").byNumber(),
		copies("extents", "content_id seq", "blob_id blob_offset length xxh3"),
		copies("uploads", "uid", "layout size part_size fingerprint blob_id gen nonce nonce_digest nonce_ranges nonce_expires_at touched_at abandoned_at "+
			"open maybe claimed_nonce claimed_proof reserved md5_next md5_state node"),
		copies("parts", "uid number", "part_offset length xxh3 blocks blob_id blob_offset boot_id gen md5"),
		copies("idempotency", "owner key", "request answer created uid created_at"),
		copies("dirs", "store number", "reserved_at"),
		copies("sweep_candidates", "blob_id", "offered_at"),
		copies("jobs", "id", "kind owner subject args node state run_at attempts max_attempts leased_by lease_until fence cancel progress error "+
			"created_at finished_at priority every checkpoint queued_at started_at").byNumber(),
		copies("import_entries", "job_id seq", "path uid size outcome error"),
		copies("tokens", "id", "owner hash scopes note created_at used_at expires_at revoked_at"),
		copies("link_keys", "id", "secret created_at retired_at").byNumber(),
		copies("link_revocations", "owner uid", "number revoked_at"),
		copies("link_uses", "uid", "used_at"),
		copies("attempts", "subject slot", "begun_at failed"),
		copies("quotas", "owner", "max_bytes max_files bytes files max_uploads uploads own"),
		copies("outbox", "id", "kind owner uid name media_type size digest detail created_at content_id after_owner after_uid").byNumber(),
		copies("events", "number", "outbox_id kind owner uid name media_type size digest detail created_at"),
		copies("event_counter", "id", "last"),
		copies("consumers", "name", "cursor tries retry_at holder lease_until seen_at"),
		copies("webhooks", "id", "owner everything url secret kinds note state since delivered failures retry_at created_at delivered_at failed_at error").byNumber(),
		copies("deliveries", "webhook_id number", "uid kind body state due_at attempts error created_at dead_at"),
	}
}

// uncopied are tables of ours that stay behind: the lanes, nodes and nodes' stores
// of processes, none of which runs.
func uncopied() []string { return []string{"lanes", "nodes", "node_stores"} }

func copies(name, key, rest string) copiedTable {
	t := copiedTable{name: name, key: strings.Fields(key)}
	t.columns = strings.Fields(key + " " + rest)
	return t
}

func (t copiedTable) byNumber() copiedTable {
	t.numbered = true
	return t
}

func (t copiedTable) but(where string) copiedTable {
	t.where = " WHERE " + where
	return t
}

// selected is the statement that reads the table in the order of its key, in
// both databases the same.
func (t copiedTable) selected() string {
	return fmt.Sprintf(`SELECT %s FROM %s%s ORDER BY %s`, strings.Join(t.columns, ", "), t.name, t.where, strings.Join(t.key, ", "))
}

// keyText names a row by its key.
func (t copiedTable) keyText(row []any) string {
	var list []string
	for i, name := range t.key {
		if s, isText := row[i].(string); isText {
			list = append(list, fmt.Sprintf("%s %.200q", name, s))
		} else {
			list = append(list, fmt.Sprintf("%s %v", name, row[i]))
		}
	}
	return t.name + ", " + strings.Join(list, ", ")
}
