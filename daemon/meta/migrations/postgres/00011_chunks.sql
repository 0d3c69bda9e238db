-- Files that come in chunks of any length, and the MD5 that their sender says.

-- +goose Up

-- md5 is that of a chunk, which its sender said and which its bytes have. NULL
-- for a part.
ALTER TABLE parts ADD COLUMN md5 BYTEA CHECK (octet_length(md5) = 16);

-- md5_state is where the MD5 of chunks stands that came in order: after all
-- before md5_next. A chunk that is replaced by other bytes takes it back to 1.
ALTER TABLE uploads ADD COLUMN md5_next BIGINT NOT NULL DEFAULT 1 CHECK (md5_next BETWEEN 1 AND 10001);
ALTER TABLE uploads ADD COLUMN md5_state BYTEA;

-- md5_said is the MD5 that a file has by the word of who put it, md5_agrees
-- whether its bytes have it: NULL while that is not known. One whose bytes do not
-- is not read: they are kept, and other files on the same content are as good as
-- ever.
ALTER TABLE files ADD COLUMN md5_said BYTEA CHECK (octet_length(md5_said) = 16);
ALTER TABLE files ADD COLUMN md5_agrees BIGINT CHECK (md5_agrees IN (0, 1));
CREATE INDEX files_md5 ON files (owner, md5_said) WHERE md5_said IS NOT NULL AND state = 'committed';

-- Contents are looked for by their MD5, too.
CREATE INDEX contents_md5 ON contents (md5) WHERE md5 IS NOT NULL AND state = 'live';
