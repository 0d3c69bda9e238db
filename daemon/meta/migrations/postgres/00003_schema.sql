-- The schema of ospd on Postgres as the third version has it on SQLite, where
-- its columns are explained: a number is one schema, whatever the database.
-- Times are milliseconds since 1970; hashes are raw bytes; ids are never used
-- again; yes is 1 and no is 0. All text has COLLATE "C": prefixes and pages of
-- names go by bytes, as SQLite has them.

-- +goose Up

CREATE TABLE settings (
    name  TEXT COLLATE "C" PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);

CREATE TABLE contents (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest      BYTEA CHECK (octet_length(digest) = 32),
    size        BIGINT NOT NULL CHECK (size >= 0),
    fingerprint BYTEA CHECK (octet_length(fingerprint) = 16),
    sha256      BYTEA CHECK (octet_length(sha256) = 32),
    md5         BYTEA CHECK (octet_length(md5) = 16),
    width       BIGINT,
    height      BIGINT,
    state       TEXT COLLATE "C" NOT NULL CHECK (state IN ('live', 'damaged', 'doomed')),
    gen         BIGINT NOT NULL DEFAULT 0,
    created_at  BIGINT NOT NULL,
    verified_at BIGINT,
    doomed_at   BIGINT
);
CREATE UNIQUE INDEX contents_live ON contents (digest, size) WHERE state = 'live';
CREATE INDEX contents_digest ON contents (digest, size);
CREATE INDEX contents_fingerprint ON contents (size, fingerprint) WHERE state = 'live';
CREATE INDEX contents_doomed ON contents (doomed_at) WHERE doomed_at IS NOT NULL;

CREATE TABLE files (
    uid          BIGINT PRIMARY KEY,
    owner        TEXT COLLATE "C" NOT NULL CHECK (owner <> ''),
    name         TEXT COLLATE "C" NOT NULL,
    media_type   TEXT COLLATE "C",
    content_id   BIGINT REFERENCES contents (id),
    etag         TEXT COLLATE "C",
    meta         TEXT COLLATE "C",
    state        TEXT COLLATE "C" NOT NULL CHECK (state IN ('open', 'committed', 'aborted', 'deleted')),
    created_at   BIGINT NOT NULL,
    committed_at BIGINT,
    expires_at   BIGINT,
    deleted_at   BIGINT,
    aborted_at   BIGINT,
    CHECK ((state = 'committed') = (content_id IS NOT NULL)),
    CHECK (state <> 'committed' OR (etag IS NOT NULL AND committed_at IS NOT NULL)),
    CHECK ((state = 'deleted') = (deleted_at IS NOT NULL))
);
CREATE INDEX files_open ON files (owner, uid) WHERE state = 'open';
CREATE INDEX files_open_name ON files (owner, name, uid) WHERE state = 'open';
CREATE INDEX files_committed ON files (owner, uid) WHERE state = 'committed';
CREATE INDEX files_name ON files (owner, name, uid) WHERE state = 'committed';
CREATE INDEX files_content ON files (content_id, owner, uid) WHERE content_id IS NOT NULL;
CREATE INDEX files_expiring ON files (expires_at) WHERE expires_at IS NOT NULL AND state IN ('open', 'committed');
CREATE INDEX files_deleted ON files (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX files_aborted ON files (aborted_at) WHERE aborted_at IS NOT NULL;

CREATE TABLE block_digests (
    content_id BIGINT NOT NULL REFERENCES contents (id),
    seq        BIGINT NOT NULL CHECK (seq >= 0),
    triples    BYTEA NOT NULL CHECK (octet_length(triples) BETWEEN 64 AND 65536 AND octet_length(triples) % 64 = 0),
    PRIMARY KEY (content_id, seq)
);
-- Hashes do not shrink.
ALTER TABLE block_digests ALTER COLUMN triples SET STORAGE EXTERNAL;

CREATE TABLE blobs (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    store       TEXT COLLATE "C" NOT NULL,
    key         TEXT COLLATE "C" NOT NULL,
    size        BIGINT NOT NULL CHECK (size >= 0),
    node        TEXT COLLATE "C" NOT NULL DEFAULT '',
    state       TEXT COLLATE "C" NOT NULL CHECK (state IN ('writing', 'live', 'doomed', 'gone')),
    owner_kind  TEXT COLLATE "C" CHECK (owner_kind IN ('upload', 'request', 'job')),
    owner_id    BIGINT,
    owner_lease BIGINT,
    created_at  BIGINT NOT NULL,
    doomed_at   BIGINT,
    gone_at     BIGINT,
    overlong    BIGINT NOT NULL DEFAULT 0 CHECK (overlong IN (0, 1)),
    UNIQUE (store, key),
    CHECK (state <> 'writing' OR owner_kind IS NOT NULL),
    CHECK ((state IN ('doomed', 'gone')) = (doomed_at IS NOT NULL)),
    CHECK ((state = 'gone') = (gone_at IS NOT NULL))
);
CREATE INDEX blobs_writing ON blobs (owner_kind, owner_id) WHERE state = 'writing';
CREATE INDEX blobs_doomed ON blobs (doomed_at) WHERE state = 'doomed';
CREATE INDEX blobs_gone ON blobs (gone_at) WHERE state = 'gone';
CREATE INDEX blobs_overlong ON blobs (id) WHERE overlong = 1;

CREATE TABLE extents (
    content_id  BIGINT NOT NULL REFERENCES contents (id),
    seq         BIGINT NOT NULL CHECK (seq >= 0),
    blob_id     BIGINT NOT NULL REFERENCES blobs (id),
    blob_offset BIGINT NOT NULL CHECK (blob_offset >= 0),
    length      BIGINT NOT NULL CHECK (length > 0),
    PRIMARY KEY (content_id, seq)
);
CREATE INDEX extents_blob ON extents (blob_id);

CREATE TABLE uploads (
    uid              BIGINT PRIMARY KEY REFERENCES files (uid),
    layout           TEXT COLLATE "C" NOT NULL DEFAULT 'blocks' CHECK (layout IN ('blocks', 'chunks')),
    size             BIGINT CHECK (size >= 0),
    part_size        BIGINT NOT NULL CHECK (part_size > 0),
    fingerprint      BYTEA CHECK (octet_length(fingerprint) = 16),
    blob_id          BIGINT REFERENCES blobs (id),
    gen              BIGINT NOT NULL DEFAULT 0,
    nonce            BYTEA,
    nonce_digest     BYTEA,
    nonce_ranges     BYTEA,
    nonce_expires_at BIGINT,
    touched_at       BIGINT NOT NULL,
    abandoned_at     BIGINT,
    open             BIGINT NOT NULL DEFAULT 1 CHECK (open IN (0, 1)),
    maybe            BIGINT NOT NULL DEFAULT 0 CHECK (maybe IN (0, 1)),
    claimed_nonce    BYTEA CHECK (octet_length(claimed_nonce) = 32),
    claimed_proof    BYTEA CHECK (octet_length(claimed_proof) = 32),
    reserved         BIGINT NOT NULL DEFAULT 0 CHECK (reserved >= 0)
);
CREATE INDEX uploads_blob ON uploads (blob_id) WHERE blob_id IS NOT NULL;
CREATE INDEX uploads_idle ON uploads (touched_at) WHERE open = 1;

CREATE TABLE parts (
    uid         BIGINT NOT NULL REFERENCES uploads (uid),
    number      BIGINT NOT NULL CHECK (number BETWEEN 1 AND 10000),
    part_offset BIGINT NOT NULL CHECK (part_offset >= 0),
    length      BIGINT NOT NULL CHECK (length > 0),
    xxh3        BYTEA NOT NULL CHECK (octet_length(xxh3) = 16),
    blocks      BYTEA NOT NULL CHECK (octet_length(blocks) % 64 = 0),
    blob_id     BIGINT NOT NULL REFERENCES blobs (id),
    blob_offset BIGINT NOT NULL CHECK (blob_offset >= 0),
    boot_id     TEXT COLLATE "C" NOT NULL,
    gen         BIGINT NOT NULL,
    PRIMARY KEY (uid, number)
);
ALTER TABLE parts ALTER COLUMN blocks SET STORAGE EXTERNAL;
CREATE INDEX parts_blob ON parts (blob_id);
CREATE INDEX parts_unsynced ON parts (uid, blob_id, gen) WHERE boot_id <> '';

CREATE TABLE idempotency (
    owner      TEXT COLLATE "C" NOT NULL,
    key        TEXT COLLATE "C" NOT NULL,
    request    BYTEA NOT NULL CHECK (octet_length(request) = 32),
    answer     BYTEA NOT NULL,
    created    BIGINT NOT NULL CHECK (created IN (0, 1)),
    uid        BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (owner, key)
);
CREATE INDEX idempotency_created ON idempotency (created_at);

CREATE TABLE dirs (
    store       TEXT COLLATE "C" NOT NULL,
    number      BIGINT NOT NULL CHECK (number BETWEEN 0 AND 4294967295),
    reserved_at BIGINT NOT NULL,
    PRIMARY KEY (store, number)
);

CREATE TABLE sweep_candidates (
    blob_id    BIGINT PRIMARY KEY REFERENCES blobs (id),
    offered_at BIGINT NOT NULL
);
CREATE INDEX sweep_candidates_offered ON sweep_candidates (offered_at);

CREATE TABLE jobs (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind         TEXT COLLATE "C" NOT NULL,
    owner        TEXT COLLATE "C" NOT NULL,
    subject      TEXT COLLATE "C" NOT NULL DEFAULT '',
    payload      TEXT COLLATE "C" NOT NULL DEFAULT '{}',
    node         TEXT COLLATE "C" NOT NULL DEFAULT '',
    state        TEXT COLLATE "C" NOT NULL CHECK (state IN ('ready', 'running', 'done', 'dead', 'cancelled')),
    run_at       BIGINT NOT NULL,
    attempts     BIGINT NOT NULL DEFAULT 0,
    max_attempts BIGINT NOT NULL,
    leased_by    TEXT COLLATE "C",
    lease_until  BIGINT,
    fence        BIGINT NOT NULL DEFAULT 0,
    cancel       BIGINT NOT NULL DEFAULT 0 CHECK (cancel IN (0, 1)),
    progress     TEXT COLLATE "C",
    error        TEXT COLLATE "C",
    created_at   BIGINT NOT NULL,
    finished_at  BIGINT,
    CHECK ((state = 'running') = (lease_until IS NOT NULL))
);
CREATE INDEX jobs_ready ON jobs (node, run_at) WHERE state = 'ready';
CREATE INDEX jobs_running ON jobs (lease_until) WHERE state = 'running';
CREATE INDEX jobs_owner ON jobs (owner, id);
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;
CREATE UNIQUE INDEX jobs_subject ON jobs (kind, subject) WHERE state = 'ready' AND subject <> '';

CREATE TABLE nodes (
    name        TEXT COLLATE "C" PRIMARY KEY,
    worker      BIGINT NOT NULL UNIQUE CHECK (worker BETWEEN 0 AND 1023),
    address     TEXT COLLATE "C" NOT NULL,
    boot_id     TEXT COLLATE "C" NOT NULL,
    fence       BIGINT NOT NULL DEFAULT 0,
    lease_until BIGINT NOT NULL,
    started_at  BIGINT NOT NULL
);

CREATE TABLE tokens (
    id         TEXT COLLATE "C" PRIMARY KEY,
    owner      TEXT COLLATE "C" NOT NULL CHECK (owner <> ''),
    hash       BYTEA NOT NULL,
    scopes     TEXT COLLATE "C" NOT NULL,
    note       TEXT COLLATE "C" NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL,
    used_at    BIGINT,
    expires_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX tokens_owner ON tokens (owner, id);

CREATE TABLE link_keys (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    secret     BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    retired_at BIGINT
);

CREATE TABLE events (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number     BIGINT UNIQUE,
    kind       TEXT COLLATE "C" NOT NULL,
    owner      TEXT COLLATE "C" NOT NULL,
    uid        BIGINT,
    payload    TEXT COLLATE "C" NOT NULL DEFAULT '{}',
    created_at BIGINT NOT NULL
);
CREATE INDEX events_unnumbered ON events (id) WHERE number IS NULL;

CREATE TABLE webhooks (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner      TEXT COLLATE "C" NOT NULL CHECK (owner <> ''),
    url        TEXT COLLATE "C" NOT NULL,
    secret     BYTEA NOT NULL,
    kinds      TEXT COLLATE "C" NOT NULL,
    state      TEXT COLLATE "C" NOT NULL CHECK (state IN ('active', 'paused')),
    delivered  BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL
);
CREATE INDEX webhooks_owner ON webhooks (owner, id);

CREATE TABLE quotas (
    owner       TEXT COLLATE "C" PRIMARY KEY,
    max_bytes   BIGINT CHECK (max_bytes >= 0),
    max_files   BIGINT CHECK (max_files >= 0),
    bytes       BIGINT NOT NULL DEFAULT 0,
    files       BIGINT NOT NULL DEFAULT 0,
    max_uploads BIGINT CHECK (max_uploads >= 0),
    uploads     BIGINT NOT NULL DEFAULT 0,
    own         BIGINT NOT NULL DEFAULT 0 CHECK (own IN (0, 1))
);

-- Of Postgres only. Each write of a process goes through one of its lanes: last
-- is the number of the lane's last write, set by that write itself, so that
-- where a commit's answer was lost the row says whether it took place, after a
-- crash and on another server too. Who takes the lanes of a node away fences it
-- off: writes that have none fail. Rows are changed often and are few.
CREATE TABLE lanes (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node    TEXT COLLATE "C" NOT NULL DEFAULT '',
    last    BIGINT NOT NULL DEFAULT 0,
    used_at BIGINT NOT NULL
) WITH (fillfactor = 20);
CREATE INDEX lanes_node ON lanes (node);
