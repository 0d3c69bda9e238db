-- Objects that were there before ospd knew of them.

-- +goose Up

-- origin: own objects were made by ospd under a key of its own; a foreign one
-- was in the storage before, and is never deleted; an adopted one was too, and
-- is deleted as one's own.
ALTER TABLE blobs ADD COLUMN origin TEXT NOT NULL DEFAULT 'own' CHECK (origin IN ('own', 'foreign', 'adopted'));

-- tag told the state of a foreign or adopted object when a file was made of it:
-- one that has another now is somebody's new object.
ALTER TABLE blobs ADD COLUMN tag TEXT;

-- imported_from is the object that a file was made of by an import: of an owner
-- and an object there is one committed file at most.
ALTER TABLE files ADD COLUMN imported_from TEXT;
CREATE UNIQUE INDEX files_imported ON files (owner, imported_from) WHERE imported_from IS NOT NULL AND state = 'committed';

-- What an import did with each object, in order: its manifest. It goes with the
-- job's row.
CREATE TABLE import_entries (
    job_id  INTEGER NOT NULL,
    seq     INTEGER NOT NULL CHECK (seq >= 0),
    path    TEXT NOT NULL,
    uid     INTEGER,
    size    INTEGER NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('imported', 'already', 'failed')),
    error   TEXT,
    PRIMARY KEY (job_id, seq),
    CHECK ((outcome = 'failed') = (error IS NOT NULL) AND (outcome = 'failed') = (uid IS NULL))
) STRICT;
