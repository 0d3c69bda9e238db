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
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind        TEXT COLLATE "C" NOT NULL,
    owner       TEXT COLLATE "C" NOT NULL,
    uid         BIGINT,
    name        TEXT COLLATE "C",
    media_type  TEXT COLLATE "C",
    size        BIGINT,
    digest      BYTEA CHECK (octet_length(digest) = 32),
    detail      TEXT COLLATE "C",
    created_at  BIGINT NOT NULL,
    content_id  BIGINT,
    after_owner TEXT COLLATE "C",
    after_uid   BIGINT,
    CHECK ((content_id IS NULL) = (after_uid IS NULL) AND (content_id IS NULL) = (after_owner IS NULL))
);
CREATE INDEX outbox_contents ON outbox (content_id) WHERE content_id IS NOT NULL;

-- number is given after the transaction that made the event has committed,
-- from event_counter, which never goes back: a reader that has seen a number
-- has missed none below it.
CREATE TABLE events (
    number     BIGINT PRIMARY KEY,
    outbox_id  BIGINT NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    owner      TEXT COLLATE "C" NOT NULL,
    uid        BIGINT,
    name       TEXT COLLATE "C",
    media_type TEXT COLLATE "C",
    size       BIGINT,
    digest     BYTEA CHECK (octet_length(digest) = 32),
    detail     TEXT COLLATE "C",
    created_at BIGINT NOT NULL
);
CREATE INDEX events_created ON events (created_at);

CREATE TABLE event_counter (
    id   BIGINT PRIMARY KEY CHECK (id = 1),
    last BIGINT NOT NULL
);
INSERT INTO event_counter (id, last) VALUES (1, 0);

-- cursor is the number up to which the consumer has handled events, tries how
-- often it took those that follow. seen_at says since when no daemon has it.
CREATE TABLE consumers (
    name        TEXT COLLATE "C" PRIMARY KEY,
    cursor      BIGINT NOT NULL,
    tries       BIGINT NOT NULL DEFAULT 0,
    retry_at    BIGINT NOT NULL DEFAULT 0,
    holder      TEXT COLLATE "C" NOT NULL DEFAULT '',
    lease_until BIGINT NOT NULL DEFAULT 0,
    seen_at     BIGINT NOT NULL
);

-- A webhook gets the events of its kinds that come after since: those of its
-- owner, or with everything = 1 all. kinds are separated by spaces. failures
-- counts those since something arrived; none is sent before retry_at. A removed
-- one stays until its deliveries were removed, some at a time.
CREATE TABLE webhooks (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner        TEXT COLLATE "C" NOT NULL CHECK (owner <> ''),
    everything   BIGINT NOT NULL DEFAULT 0 CHECK (everything IN (0, 1)),
    url          TEXT COLLATE "C" NOT NULL,
    secret       BYTEA NOT NULL,
    kinds        TEXT COLLATE "C" NOT NULL,
    note         TEXT COLLATE "C" NOT NULL DEFAULT '',
    state        TEXT COLLATE "C" NOT NULL CHECK (state IN ('active', 'removed')),
    since        BIGINT NOT NULL,
    delivered    BIGINT NOT NULL DEFAULT 0,
    failures     BIGINT NOT NULL DEFAULT 0,
    retry_at     BIGINT NOT NULL DEFAULT 0,
    created_at   BIGINT NOT NULL,
    delivered_at BIGINT,
    failed_at    BIGINT,
    error        TEXT COLLATE "C"
);
CREATE INDEX webhooks_owner ON webhooks (owner, id);
CREATE INDEX webhooks_removed ON webhooks (id) WHERE state = 'removed';

-- An event on its way to a webhook; the row goes when it has arrived. Those of
-- one uid (0 for none) go in order of number: one is sent only when none before
-- it is pending.
CREATE TABLE deliveries (
    webhook_id BIGINT NOT NULL REFERENCES webhooks (id),
    number     BIGINT NOT NULL,
    uid        BIGINT NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    body       TEXT COLLATE "C" NOT NULL,
    state      TEXT COLLATE "C" NOT NULL CHECK (state IN ('pending', 'dead')),
    due_at     BIGINT NOT NULL,
    attempts   BIGINT NOT NULL DEFAULT 0,
    error      TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    dead_at    BIGINT,
    PRIMARY KEY (webhook_id, number),
    CHECK ((state = 'dead') = (dead_at IS NOT NULL))
);
CREATE INDEX deliveries_due ON deliveries (webhook_id, due_at) WHERE state = 'pending';
CREATE INDEX deliveries_lane ON deliveries (webhook_id, uid, number) WHERE state = 'pending';
CREATE INDEX deliveries_waiting ON deliveries (created_at) WHERE state = 'pending';
CREATE INDEX deliveries_dead ON deliveries (webhook_id, dead_at) WHERE state = 'dead';
CREATE INDEX deliveries_old ON deliveries (dead_at) WHERE state = 'dead';
