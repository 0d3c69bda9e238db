-- What jobs write that join objects.

-- +goose Up

-- compose_id is what the storage calls the composition that makes the blob,
-- written down before anything is copied, until the blob is live.
ALTER TABLE blobs ADD COLUMN compose_id TEXT;
