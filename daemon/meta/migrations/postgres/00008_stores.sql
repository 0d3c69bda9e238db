-- What lies in each store.

-- +goose Up

-- The blobs of each store that are in use, in the order in which they came:
-- they are counted by it, and a migration goes through them. A blob enters it
-- once, at the end of its store's, and leaves it when it is doomed.
CREATE INDEX blobs_stored ON blobs (store, id, size) WHERE state = 'live';
