-- What ends links before their time.

-- +goose Up

-- Of an owner's links those were revoked that were signed when fewer than number
-- revocations had been made: all of them where uid is 0, else those of one file.
CREATE TABLE link_revocations (
    owner      TEXT NOT NULL,
    uid        INTEGER NOT NULL,
    number     INTEGER NOT NULL CHECK (number > 0),
    revoked_at INTEGER NOT NULL,
    PRIMARY KEY (owner, uid)
) STRICT;
CREATE INDEX link_revocations_age ON link_revocations (revoked_at);

-- Links that put were used under these uids: each puts one file, also when the
-- row of that is gone.
CREATE TABLE link_uses (
    uid     INTEGER PRIMARY KEY,
    used_at INTEGER NOT NULL
) STRICT;
CREATE INDEX link_uses_age ON link_uses (used_at);
