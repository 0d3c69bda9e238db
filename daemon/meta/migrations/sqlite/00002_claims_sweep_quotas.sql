-- What claims, the sweep and quotas keep.

-- +goose Up

-- open is files.state = 'open', kept here for the index: committed uploads
-- stay, and whoever looks for idle ones must not read past them. The nonce
-- columns of 00001 hold the challenge given last; claimed_nonce and
-- claimed_proof the claim that succeeded, for its repetition.
ALTER TABLE uploads ADD COLUMN open INTEGER NOT NULL DEFAULT 1 CHECK (open IN (0, 1));
ALTER TABLE uploads ADD COLUMN maybe INTEGER NOT NULL DEFAULT 0 CHECK (maybe IN (0, 1));
ALTER TABLE uploads ADD COLUMN claimed_nonce BLOB CHECK (length(claimed_nonce) = 32);
ALTER TABLE uploads ADD COLUMN claimed_proof BLOB CHECK (length(claimed_proof) = 32);
UPDATE uploads SET open = 0 WHERE uid IN (SELECT uid FROM files WHERE state <> 'open');
DROP INDEX uploads_touched;
CREATE INDEX uploads_idle ON uploads (touched_at) WHERE open = 1;

-- Since when a row is of no use, for pruning.
ALTER TABLE contents ADD COLUMN doomed_at INTEGER;
UPDATE contents SET doomed_at = created_at WHERE state = 'doomed';
CREATE INDEX contents_doomed ON contents (doomed_at) WHERE doomed_at IS NOT NULL;
ALTER TABLE files ADD COLUMN aborted_at INTEGER;
UPDATE files SET aborted_at = created_at WHERE state = 'aborted';
CREATE INDEX files_aborted ON files (aborted_at) WHERE aborted_at IS NOT NULL;

-- What has ended needs no expiry, what is gone no deletion.
DROP INDEX files_expiring;
CREATE INDEX files_expiring ON files (expires_at) WHERE expires_at IS NOT NULL AND state IN ('open', 'committed');
ALTER TABLE blobs ADD COLUMN gone_at INTEGER CHECK ((state = 'gone') = (gone_at IS NOT NULL));
DROP INDEX blobs_doomed;
CREATE INDEX blobs_doomed ON blobs (doomed_at) WHERE state = 'doomed';
CREATE INDEX blobs_gone ON blobs (gone_at) WHERE state = 'gone';

-- bytes and files count open uploads too: what one will need is reserved when
-- it begins. own = 0: the limits are the configuration's.
ALTER TABLE quotas ADD COLUMN max_uploads INTEGER CHECK (max_uploads >= 0);
ALTER TABLE quotas ADD COLUMN uploads INTEGER NOT NULL DEFAULT 0;
ALTER TABLE quotas ADD COLUMN own INTEGER NOT NULL DEFAULT 0 CHECK (own IN (0, 1));
INSERT INTO quotas (owner, bytes, files, uploads)
    SELECT f.owner, SUM(COALESCE(c.size, u.size, 0)), COUNT(*), SUM(CASE f.state WHEN 'open' THEN 1 ELSE 0 END)
    FROM files f LEFT JOIN contents c ON c.id = f.content_id LEFT JOIN uploads u ON u.uid = f.uid
    WHERE f.state IN ('open', 'committed') GROUP BY f.owner;
