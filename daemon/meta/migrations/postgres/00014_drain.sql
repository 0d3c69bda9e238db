-- Nodes that are to take nothing new.

-- +goose Up

-- draining says that an operator wants the node to take nothing new, until he
-- takes it back; what nodes told of themselves there is ending now: that the
-- node stops once its requests have ended.
ALTER TABLE nodes ADD COLUMN ending BIGINT NOT NULL DEFAULT 0 CHECK (ending IN (0, 1));
UPDATE nodes SET draining = 0;

-- How many uploads are open on a node's disk.
CREATE INDEX uploads_home ON uploads (node) WHERE open = 1;

-- Which jobs wait for a node: few are bound to one.
CREATE INDEX jobs_bound ON jobs (node, id) WHERE state IN ('ready', 'running') AND node <> '';
