-- Several processes on one database.

-- +goose Up

-- Every node that works on the database has a row, by its name, and one that
-- did keeps it until another needs its worker number. Rows of before are of the
-- one process there was: alone says that no other may be beside it. address is
-- where its peers reach it, load how many requests it is at work on.
ALTER TABLE nodes ADD COLUMN version TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE nodes ADD COLUMN alone BIGINT NOT NULL DEFAULT 1 CHECK (alone IN (0, 1));
ALTER TABLE nodes ADD COLUMN draining BIGINT NOT NULL DEFAULT 0 CHECK (draining IN (0, 1));
ALTER TABLE nodes ADD COLUMN load BIGINT NOT NULL DEFAULT 0;

-- node is the upload's home: on its disk the bytes come to lie. '' is that of
-- one whose bytes every node reaches.
ALTER TABLE uploads ADD COLUMN node TEXT COLLATE "C" NOT NULL DEFAULT '';
