-- What is held to a number of failures within a time, on however many nodes.

-- +goose Up

-- An attempt takes a slot of its subject, of which there are as many as may
-- fail, and gives it back where it succeeded. begun_at is when it was taken;
-- one that runs and was not given back in time has failed.
CREATE TABLE attempts (
    subject  TEXT NOT NULL,
    slot     INTEGER NOT NULL CHECK (slot > 0),
    begun_at INTEGER NOT NULL,
    failed   INTEGER NOT NULL DEFAULT 0 CHECK (failed IN (0, 1)),
    PRIMARY KEY (subject, slot)
);
CREATE INDEX attempts_begun ON attempts (begun_at);
