-- What the queue of jobs keeps.

-- +goose Up

ALTER TABLE jobs RENAME COLUMN payload TO args;

-- priority: -1 idle, 0 normal, 1 high. every is how many milliseconds after its
-- end the next job like it is due. checkpoint is where the handler goes on.
-- queued_at is when run_at was decided: a clock that was ahead then is noticed
-- by it. leased_by stays after the lease ended.
ALTER TABLE jobs ADD COLUMN priority BIGINT NOT NULL DEFAULT 0 CHECK (priority BETWEEN -1 AND 1);
ALTER TABLE jobs ADD COLUMN every BIGINT CHECK (every > 0);
ALTER TABLE jobs ADD COLUMN checkpoint TEXT COLLATE "C";
ALTER TABLE jobs ADD COLUMN queued_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN started_at BIGINT;
UPDATE jobs SET queued_at = created_at;

-- Scrubs named their content by the subject alone.
UPDATE jobs SET args = '{"content":' || subject || '}', subject = 'content/' || subject WHERE kind = 'scrub';

DROP INDEX jobs_ready;
DROP INDEX jobs_running;
DROP INDEX jobs_owner;
DROP INDEX jobs_subject;
CREATE INDEX jobs_waiting ON jobs (kind, priority, node, run_at, id) WHERE state = 'ready';
CREATE INDEX jobs_queued ON jobs (queued_at) WHERE state = 'ready';
CREATE INDEX jobs_leased ON jobs (kind, lease_until) WHERE state = 'running';
CREATE INDEX jobs_holder ON jobs (leased_by) WHERE state = 'running';
CREATE UNIQUE INDEX jobs_subject_ready ON jobs (kind, subject) WHERE state = 'ready' AND subject <> '';
CREATE UNIQUE INDEX jobs_subject_running ON jobs (kind, subject) WHERE state = 'running' AND subject <> '';
CREATE INDEX jobs_last ON jobs (kind, subject) WHERE state = 'done' AND every IS NOT NULL;
CREATE INDEX jobs_owner ON jobs (owner, id);
CREATE INDEX jobs_state ON jobs (state, id);
CREATE INDEX jobs_kind ON jobs (kind, id);
