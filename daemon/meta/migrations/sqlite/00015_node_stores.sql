-- What the stores of each node are.

-- +goose Up

-- A node says it when it takes its place: fence is that of the place, so that what
-- an earlier process of the node said is told from what this one says. bucket is
-- '' of a store on the node's own disk; place is with the address at which the node
-- reaches the bucket.
CREATE TABLE node_stores (
    node   TEXT NOT NULL,
    store  TEXT NOT NULL,
    type   TEXT NOT NULL,
    bucket TEXT NOT NULL,
    place  TEXT NOT NULL,
    fence  INTEGER NOT NULL,
    PRIMARY KEY (node, store)
);
