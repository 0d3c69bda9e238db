-- What happened, in order; who has seen how much of it; and to whom it is sent.

-- +goose Up

-- Nothing was ever written to these two.
DROP TABLE events;
DROP TABLE webhooks;

-- An event lies here from the transaction that made it true until it gets its
-- number. The ids only order what lies here together.
--
-- A row with content_id stands for events of kind for every file of the
-- content after (after_owner, after_uid) but uid: a content may have more files than
-- one transaction should write rows.
CREATE TABLE outbox (
    id          INTEGER PRIMARY KEY,
    kind        TEXT NOT NULL,
    owner       TEXT NOT NULL,
    uid         INTEGER,
    name        TEXT,
    media_type  TEXT,
    size        INTEGER,
    digest      BLOB CHECK (length(digest) = 32),
    detail      TEXT,
    created_at  INTEGER NOT NULL,
    content_id  INTEGER,
    after_owner TEXT,
    after_uid   INTEGER,
    CHECK ((content_id IS NULL) = (after_uid IS NULL) AND (content_id IS NULL) = (after_owner IS NULL))
) STRICT;
CREATE INDEX outbox_contents ON outbox (content_id) WHERE content_id IS NOT NULL;

-- number is given after the transaction that made the event has committed,
-- from event_counter, which never goes back: a reader that has seen a number
-- has missed none below it.
CREATE TABLE events (
    number     INTEGER PRIMARY KEY,
    outbox_id  INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    owner      TEXT NOT NULL,
    uid        INTEGER,
    name       TEXT,
    media_type TEXT,
    size       INTEGER,
    digest     BLOB CHECK (length(digest) = 32),
    detail     TEXT,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX events_created ON events (created_at);

CREATE TABLE event_counter (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    last INTEGER NOT NULL
) STRICT;
INSERT INTO event_counter (id, last) VALUES (1, 0);

-- cursor is the number up to which the consumer has handled events, tries how
-- often it took those that follow. seen_at says since when no daemon has it.
CREATE TABLE consumers (
    name        TEXT PRIMARY KEY,
    cursor      INTEGER NOT NULL,
    tries       INTEGER NOT NULL DEFAULT 0,
    retry_at    INTEGER NOT NULL DEFAULT 0,
    holder      TEXT NOT NULL DEFAULT '',
    lease_until INTEGER NOT NULL DEFAULT 0,
    seen_at     INTEGER NOT NULL
) STRICT;

-- A webhook gets the events of its kinds that come after since: those of its
-- owner, or with everything = 1 all. kinds are separated by spaces. failures
-- counts those since something arrived; none is sent before retry_at. A removed
-- one stays until its deliveries were removed, some at a time.
CREATE TABLE webhooks (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    owner        TEXT NOT NULL CHECK (owner <> ''),
    everything   INTEGER NOT NULL DEFAULT 0 CHECK (everything IN (0, 1)),
    url          TEXT NOT NULL,
    secret       BLOB NOT NULL,
    kinds        TEXT NOT NULL,
    note         TEXT NOT NULL DEFAULT '',
    state        TEXT NOT NULL CHECK (state IN ('active', 'removed')),
    since        INTEGER NOT NULL,
    delivered    INTEGER NOT NULL DEFAULT 0,
    failures     INTEGER NOT NULL DEFAULT 0,
    retry_at     INTEGER NOT NULL DEFAULT 0,
    created_at   INTEGER NOT NULL,
    delivered_at INTEGER,
    failed_at    INTEGER,
    error        TEXT
) STRICT;
CREATE INDEX webhooks_owner ON webhooks (owner, id);
CREATE INDEX webhooks_removed ON webhooks (id) WHERE state = 'removed';

-- An event on its way to a webhook; the row goes when it has arrived. Those of
-- one uid (0 for none) go in order of number: one is sent only when none before
-- it is pending.
CREATE TABLE deliveries (
    webhook_id INTEGER NOT NULL REFERENCES webhooks (id),
    number     INTEGER NOT NULL,
    uid        INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    body       TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('pending', 'dead')),
    due_at     INTEGER NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0,
    error      TEXT,
    created_at INTEGER NOT NULL,
    dead_at    INTEGER,
    PRIMARY KEY (webhook_id, number),
    CHECK ((state = 'dead') = (dead_at IS NOT NULL))
) STRICT;
CREATE INDEX deliveries_due ON deliveries (webhook_id, due_at) WHERE state = 'pending';
CREATE INDEX deliveries_lane ON deliveries (webhook_id, uid, number) WHERE state = 'pending';
CREATE INDEX deliveries_waiting ON deliveries (created_at) WHERE state = 'pending';
CREATE INDEX deliveries_dead ON deliveries (webhook_id, dead_at) WHERE state = 'dead';
CREATE INDEX deliveries_old ON deliveries (dead_at) WHERE state = 'dead';
