-- The whole schema of ospd. Times are milliseconds since 1970; hashes are raw
-- bytes; ids are never used again. A column the daemon does not write yet
-- belongs to a table whose verbs come with a later step.

-- +goose Up

-- What is kept by name: the server id, the high-water mark of each worker's
-- uids, the number of each store's next directory, the stores seen before.
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE contents (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    digest      BLOB CHECK (length(digest) = 32),
    size        INTEGER NOT NULL CHECK (size >= 0),
    fingerprint BLOB CHECK (length(fingerprint) = 16),
    sha256      BLOB CHECK (length(sha256) = 32),
    md5         BLOB CHECK (length(md5) = 16),
    width       INTEGER,
    height      INTEGER,
    state       TEXT NOT NULL CHECK (state IN ('live', 'damaged', 'doomed')),
    gen         INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,
    verified_at INTEGER
) STRICT;
CREATE UNIQUE INDEX contents_live ON contents (digest, size) WHERE state = 'live';
CREATE INDEX contents_digest ON contents (digest, size);
CREATE INDEX contents_fingerprint ON contents (size, fingerprint) WHERE state = 'live';

-- A row exists from the beginning of the upload. A deleted file keeps its row
-- without a content until it is pruned.
CREATE TABLE files (
    uid          INTEGER PRIMARY KEY,
    owner        TEXT NOT NULL CHECK (owner <> ''),
    name         TEXT NOT NULL,
    media_type   TEXT,
    content_id   INTEGER REFERENCES contents (id),
    etag         TEXT,
    meta         TEXT,
    state        TEXT NOT NULL CHECK (state IN ('open', 'committed', 'aborted', 'deleted')),
    created_at   INTEGER NOT NULL,
    committed_at INTEGER,
    expires_at   INTEGER,
    deleted_at   INTEGER,
    CHECK ((state = 'committed') = (content_id IS NOT NULL)),
    CHECK (state <> 'committed' OR (etag IS NOT NULL AND committed_at IS NOT NULL)),
    CHECK ((state = 'deleted') = (deleted_at IS NOT NULL))
) STRICT;
CREATE INDEX files_open ON files (owner, uid) WHERE state = 'open';
CREATE INDEX files_open_name ON files (owner, name, uid) WHERE state = 'open';
CREATE INDEX files_committed ON files (owner, uid) WHERE state = 'committed';
CREATE INDEX files_name ON files (owner, name, uid) WHERE state = 'committed';
CREATE INDEX files_content ON files (content_id, owner, uid) WHERE content_id IS NOT NULL;
CREATE INDEX files_expiring ON files (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX files_deleted ON files (deleted_at) WHERE deleted_at IS NOT NULL;

-- Up to 1,024 blocks a row, 64 bytes each: SHA-256, XXH3, XXH3 of the head.
CREATE TABLE block_digests (
    content_id INTEGER NOT NULL REFERENCES contents (id),
    seq        INTEGER NOT NULL CHECK (seq >= 0),
    triples    BLOB NOT NULL CHECK (length(triples) BETWEEN 64 AND 65536 AND length(triples) % 64 = 0),
    PRIMARY KEY (content_id, seq)
) STRICT;

-- A writing blob has an owner: the upload, request or job that writes it.
CREATE TABLE blobs (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    store       TEXT NOT NULL,
    key         TEXT NOT NULL,
    size        INTEGER NOT NULL CHECK (size >= 0),
    node        TEXT NOT NULL DEFAULT '',
    state       TEXT NOT NULL CHECK (state IN ('writing', 'live', 'doomed', 'gone')),
    owner_kind  TEXT CHECK (owner_kind IN ('upload', 'request', 'job')),
    owner_id    INTEGER,
    owner_lease INTEGER,
    created_at  INTEGER NOT NULL,
    doomed_at   INTEGER,
    UNIQUE (store, key),
    CHECK (state <> 'writing' OR owner_kind IS NOT NULL),
    CHECK ((state IN ('doomed', 'gone')) = (doomed_at IS NOT NULL))
) STRICT;
CREATE INDEX blobs_writing ON blobs (owner_kind, owner_id) WHERE state = 'writing';
CREATE INDEX blobs_doomed ON blobs (doomed_at) WHERE doomed_at IS NOT NULL;

CREATE TABLE extents (
    content_id  INTEGER NOT NULL REFERENCES contents (id),
    seq         INTEGER NOT NULL CHECK (seq >= 0),
    blob_id     INTEGER NOT NULL REFERENCES blobs (id),
    blob_offset INTEGER NOT NULL CHECK (blob_offset >= 0),
    length      INTEGER NOT NULL CHECK (length > 0),
    PRIMARY KEY (content_id, seq)
) STRICT;
CREATE INDEX extents_blob ON extents (blob_id);

-- blob_id is the blob the parts are assembled in. It is cleared when the
-- upload ends, so that a row with one is an open upload. The claim columns
-- hold the challenge that was given last.
CREATE TABLE uploads (
    uid              INTEGER PRIMARY KEY REFERENCES files (uid),
    layout           TEXT NOT NULL DEFAULT 'blocks' CHECK (layout IN ('blocks', 'chunks')),
    size             INTEGER CHECK (size >= 0),
    part_size        INTEGER NOT NULL CHECK (part_size > 0),
    fingerprint      BLOB CHECK (length(fingerprint) = 16),
    blob_id          INTEGER REFERENCES blobs (id),
    gen              INTEGER NOT NULL DEFAULT 0,
    nonce            BLOB,
    nonce_digest     BLOB,
    nonce_ranges     BLOB,
    nonce_expires_at INTEGER,
    touched_at       INTEGER NOT NULL,
    abandoned_at     INTEGER
) STRICT;
CREATE INDEX uploads_blob ON uploads (blob_id) WHERE blob_id IS NOT NULL;
CREATE INDEX uploads_touched ON uploads (touched_at);

CREATE TABLE parts (
    uid         INTEGER NOT NULL REFERENCES uploads (uid),
    number      INTEGER NOT NULL CHECK (number BETWEEN 1 AND 10000),
    part_offset INTEGER NOT NULL CHECK (part_offset >= 0),
    length      INTEGER NOT NULL CHECK (length > 0),
    xxh3        BLOB NOT NULL CHECK (length(xxh3) = 16),
    blocks      BLOB NOT NULL CHECK (length(blocks) % 64 = 0),
    blob_id     INTEGER NOT NULL REFERENCES blobs (id),
    blob_offset INTEGER NOT NULL CHECK (blob_offset >= 0),
    boot_id     TEXT NOT NULL,
    gen         INTEGER NOT NULL,
    PRIMARY KEY (uid, number)
) STRICT;
CREATE INDEX parts_blob ON parts (blob_id);
CREATE INDEX parts_unsynced ON parts (uid, blob_id, gen) WHERE boot_id <> '';

CREATE TABLE idempotency (
    owner      TEXT NOT NULL,
    key        TEXT NOT NULL,
    request    BLOB NOT NULL CHECK (length(request) = 32),
    answer     BLOB NOT NULL,
    created    INTEGER NOT NULL CHECK (created IN (0, 1)),
    uid        INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (owner, key)
) STRICT;
CREATE INDEX idempotency_created ON idempotency (created_at);

-- The directories of a store in which objects may lie that have no row yet.
CREATE TABLE dirs (
    store       TEXT NOT NULL,
    number      INTEGER NOT NULL CHECK (number BETWEEN 0 AND 4294967295),
    reserved_at INTEGER NOT NULL,
    PRIMARY KEY (store, number)
) STRICT;

-- Blobs that a transaction stopped using. The sweep dooms those of them that
-- nothing else refers to.
CREATE TABLE sweep_candidates (
    blob_id    INTEGER PRIMARY KEY REFERENCES blobs (id),
    offered_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sweep_candidates_offered ON sweep_candidates (offered_at);

CREATE TABLE jobs (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    kind         TEXT NOT NULL,
    owner        TEXT NOT NULL,
    subject      TEXT NOT NULL DEFAULT '',
    payload      TEXT NOT NULL DEFAULT '{}',
    node         TEXT NOT NULL DEFAULT '',
    state        TEXT NOT NULL CHECK (state IN ('ready', 'running', 'done', 'dead', 'cancelled')),
    run_at       INTEGER NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL,
    leased_by    TEXT,
    lease_until  INTEGER,
    fence        INTEGER NOT NULL DEFAULT 0,
    cancel       INTEGER NOT NULL DEFAULT 0 CHECK (cancel IN (0, 1)),
    progress     TEXT,
    error        TEXT,
    created_at   INTEGER NOT NULL,
    finished_at  INTEGER,
    CHECK ((state = 'running') = (lease_until IS NOT NULL))
) STRICT;
CREATE INDEX jobs_ready ON jobs (node, run_at) WHERE state = 'ready';
CREATE INDEX jobs_running ON jobs (lease_until) WHERE state = 'running';
CREATE INDEX jobs_owner ON jobs (owner, id);
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;
CREATE UNIQUE INDEX jobs_subject ON jobs (kind, subject) WHERE state = 'ready' AND subject <> '';

CREATE TABLE nodes (
    name        TEXT PRIMARY KEY,
    worker      INTEGER NOT NULL UNIQUE CHECK (worker BETWEEN 0 AND 1023),
    address     TEXT NOT NULL,
    boot_id     TEXT NOT NULL,
    fence       INTEGER NOT NULL DEFAULT 0,
    lease_until INTEGER NOT NULL,
    started_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE tokens (
    id         TEXT PRIMARY KEY,
    owner      TEXT NOT NULL CHECK (owner <> ''),
    hash       BLOB NOT NULL,
    scopes     TEXT NOT NULL,
    note       TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    used_at    INTEGER,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;
CREATE INDEX tokens_owner ON tokens (owner, id);

CREATE TABLE link_keys (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    secret     BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    retired_at INTEGER
) STRICT;

-- number is given after the transaction that made the event has committed,
-- from one counter that never goes back, so that no reader can skip one.
CREATE TABLE events (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    number     INTEGER UNIQUE,
    kind       TEXT NOT NULL,
    owner      TEXT NOT NULL,
    uid        INTEGER,
    payload    TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX events_unnumbered ON events (id) WHERE number IS NULL;

CREATE TABLE webhooks (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    owner      TEXT NOT NULL CHECK (owner <> ''),
    url        TEXT NOT NULL,
    secret     BLOB NOT NULL,
    kinds      TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('active', 'paused')),
    delivered  INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX webhooks_owner ON webhooks (owner, id);

CREATE TABLE quotas (
    owner     TEXT PRIMARY KEY,
    max_bytes INTEGER CHECK (max_bytes >= 0),
    max_files INTEGER CHECK (max_files >= 0),
    bytes     INTEGER NOT NULL DEFAULT 0,
    files     INTEGER NOT NULL DEFAULT 0
) STRICT;
