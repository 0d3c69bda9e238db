-- What is found out about contents once they are read, and for which files that
-- is still to be done.

-- +goose Up

-- media_type is what the first bytes tell, NULL where they do not.
ALTER TABLE contents ADD COLUMN media_type TEXT COLLATE "C";

-- digest_due is when a digest job is to look at the file's content, the highest
-- number there is where the configuration has none do it. NULL says that one
-- did: only then what is found of the content, which others may share, is the
-- file's too.
ALTER TABLE files ADD COLUMN digest_due BIGINT;
UPDATE files SET digest_due = committed_at WHERE state = 'committed';
CREATE INDEX files_digest_due ON files (digest_due) WHERE digest_due IS NOT NULL AND state = 'committed';

-- xxh3 is of an extent's bytes, where its content has no blocks on record.
ALTER TABLE extents ADD COLUMN xxh3 BYTEA CHECK (octet_length(xxh3) = 16);

-- The SHA-256 of one block is that of the content; of nothing all is known.
UPDATE contents SET sha256 = (SELECT substring(d.triples FROM 1 FOR 32) FROM block_digests d WHERE d.content_id = contents.id AND d.seq = 0)
    WHERE size BETWEEN 1 AND 4194304;
UPDATE contents SET sha256 = '\xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', md5 = '\xd41d8cd98f00b204e9800998ecf8427e'
    WHERE size = 0;
