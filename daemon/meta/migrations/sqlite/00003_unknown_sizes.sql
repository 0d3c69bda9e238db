-- What uploads that begin without a size take up.

-- +goose Up

-- reserved is how many bytes the owner's quota is charged for an upload whose
-- size is not known yet; it is not looked at where size is set.
ALTER TABLE uploads ADD COLUMN reserved INTEGER NOT NULL DEFAULT 0 CHECK (reserved >= 0);

-- overlong = 1: the object may have more bytes than the row says, written by
-- part requests that failed; whoever cuts it to its size clears this. So far
-- nothing was cut.
ALTER TABLE blobs ADD COLUMN overlong INTEGER NOT NULL DEFAULT 0 CHECK (overlong IN (0, 1));
UPDATE blobs SET overlong = 1 WHERE state = 'live' AND owner_kind = 'upload'
    AND id NOT IN (SELECT blob_id FROM uploads WHERE blob_id IS NOT NULL);
CREATE INDEX blobs_overlong ON blobs (id) WHERE overlong = 1;
