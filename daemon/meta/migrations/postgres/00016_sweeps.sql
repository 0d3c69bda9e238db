-- What is to be deleted, and what was, store by store.

-- +goose Up

-- Each node of a cluster sweeps its own disks, and all of them what they share: of
-- what is doomed on the disk of a node that is gone nothing is read then, however
-- much it is. The indexes by time alone stay for clocks that were set back.
CREATE INDEX blobs_doomed_in ON blobs (store, doomed_at, id) WHERE state = 'doomed';
CREATE INDEX blobs_gone_in ON blobs (store, gone_at, id) WHERE state = 'gone';
