package meta

import (
	"context"
	"fmt"
	"strings"
)

// NodeStore is a store as a node is configured with it.
type NodeStore struct {
	// Name is the configured one, also of a node's own disk.
	Name, Type string
	// Bucket is what the store lies in, as anybody would name it, whatever address
	// it is reached at; "" on a node's own disk. Place is with the address.
	Bucket, Place string
}

func (s NodeStore) String() string {
	if s.Bucket == "" {
		return "of type " + s.Type
	}
	return fmt.Sprintf("bucket %s of type %s", s.Bucket, s.Type)
}

// SaidStore is what a node said of a store when it took its place last.
type SaidStore struct {
	NodeStore
	Node NodeID
	// Lives says that the node's lease lasts, and is the one under which it said so;
	// Drained that somebody said it is to take nothing new.
	Lives, Drained bool
}

// StoreDiffers is the error of a node whose store is not that which a living one has
// under the same name.
type StoreDiffers struct {
	Own   NodeStore
	Other SaidStore
	// Unproved says that they may be one: nothing but their addresses differ, and no
	// mark tells yet, as nobody has used the store.
	Unproved bool
}

func (e *StoreDiffers) Error() string {
	return fmt.Sprintf("store %s is %s here, and %s at node %s", e.Own.Name, e.Own, e.Other.NodeStore, e.Other.Node)
}

// SayStores writes down what the stores of a node are that has the lease, in place of
// what it said before. Where a living node has another one under the same name it is
// a *StoreDiffers, and nothing is changed: of nodes that say it at once one is
// the first.
func (db *DB) SayStores(ctx context.Context, l NodeLease, stores []NodeStore) error {
	return db.update(ctx, full, "write down the stores of a node", func(t *tx) error {
		if _, err := t.counter(settingFence, func(old int64) int64 { return old }); err != nil {
			return err
		}
		others, err := t.saidStores(`n.name <> ?`, string(l.Node))
		if err != nil {
			return err
		}
		for _, s := range stores {
			if err := t.sameStore(s, others); err != nil {
				return err
			}
		}
		if _, err := t.exec(`DELETE FROM node_stores WHERE node = ?`, string(l.Node)); err != nil {
			return err
		}
		for _, s := range stores {
			if _, err := t.exec(`INSERT INTO node_stores (node, store, type, bucket, place, fence) VALUES (?, ?, ?, ?, ?, ?)`,
				string(l.Node), s.Name, s.Type, s.Bucket, s.Place, l.Fence); err != nil {
				return err
			}
		}
		return nil
	})
}

// sameStore is a *StoreDiffers where a store is not what others have that live.
// What bears the mark of a store that is known is that store, whatever address it
// is reached at, for which whoever opens it looks.
func (t *tx) sameStore(own NodeStore, others []SaidStore) error {
	known, err := t.one(`SELECT value FROM settings WHERE name = ?`, []any{settingStoreKnown(own.Name)}, new(string))
	if err != nil {
		return err
	}
	for _, o := range others {
		if !o.Lives || o.Name != own.Name {
			continue
		}
		same := o.Type == own.Type && o.Bucket == own.Bucket
		unproved := same && own.Bucket != "" && !known && o.Place != own.Place
		if !same || unproved {
			return &StoreDiffers{Own: own, Other: o, Unproved: unproved}
		}
	}
	return nil
}

// SaidStores lists what each node said of its stores, by node and name.
func (db *DB) SaidStores(ctx context.Context) (list []SaidStore, err error) {
	err = db.look(ctx, "list the stores of nodes", func(q query) error {
		list, err = q.saidStores(`1 = 1`)
		return err
	})
	return list, err
}

func (q query) saidStores(where string, args ...any) (list []SaidStore, err error) {
	now := q.leaseNow(&args)
	err = q.each(`SELECT s.node, s.store, s.type, s.bucket, s.place, n.lease_until > `+now+` AND n.fence = s.fence, n.draining = 1
		FROM nodes n JOIN node_stores s ON s.node = n.name WHERE `+where+` ORDER BY s.node, s.store`, args, func(scan scanFunc) error {
		var s SaidStore
		err := scan(&s.Node, &s.Name, &s.Type, &s.Bucket, &s.Place, &s.Lives, &s.Drained)
		list = append(list, s)
		return err
	})
	return list, err
}

// ForgetSaidStore forgets that a node said it had a store.
func (db *DB) ForgetSaidStore(ctx context.Context, node NodeID, store string) error {
	return db.update(ctx, full, "forget a store of a node", func(t *tx) error {
		_, err := t.exec(`DELETE FROM node_stores WHERE node = ? AND store = ?`, string(node), store)
		return err
	})
}

func settingStoreBucket(store string) string { return "store_bucket/" + store }

// NotedBucket is in which bucket a store was when a node had seen its mark there.
type NotedBucket struct {
	Node   NodeID
	Bucket string
}

// NoteStoreBucket notes it.
func (db *DB) NoteStoreBucket(ctx context.Context, store string, b NotedBucket) error {
	return db.update(ctx, full, "note the bucket of a store", func(t *tx) error {
		return t.set(settingStoreBucket(store), string(b.Node)+" "+b.Bucket)
	})
}

// StoreBuckets gives what was noted last, by the stores' names.
func (db *DB) StoreBuckets(ctx context.Context) (buckets map[string]NotedBucket, err error) {
	err = db.look(ctx, "list the buckets of stores", func(q query) error {
		buckets = map[string]NotedBucket{}
		return q.named(settingStoreBucket(""), func(name, value string) {
			node, bucket, _ := strings.Cut(value, " ")
			buckets[name] = NotedBucket{NodeID(node), bucket}
		})
	})
	return buckets, err
}
