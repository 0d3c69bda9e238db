package metatest

import (
	"errors"
	"fmt"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// bucket is a store in a bucket of S3.
func bucket(name, bucket, host string) meta.NodeStore {
	return meta.NodeStore{Name: name, Type: "s3", Bucket: bucket, Place: "s3 " + host + " " + bucket}
}

// folder is a store on a node's own disk.
func folder(name string) meta.NodeStore {
	return meta.NodeStore{Name: name, Type: "local"}
}

// differs expects that a node says of its stores what another does not.
func (e *env) differs(l meta.NodeLease, from meta.NodeID, unproved bool, stores ...meta.NodeStore) {
	e.Helper()
	err := e.db.SayStores(e.ctx, l, stores)
	d, ok := errors.AsType[*meta.StoreDiffers](err)
	if !ok || d.Other.Node != from || d.Unproved != unproved {
		e.Fatalf("%v is %v (%+v), want one that names %s, unproved %v", stores, err, d, from, unproved)
	}
}

// said are the stores that nodes said they have.
func (e *env) said() (list []string) {
	e.Helper()
	all, err := e.db.SaidStores(e.ctx)
	e.ok(err)
	for _, s := range all {
		list = append(list, fmt.Sprintf("%s %s %v", s.Node, s.Name, s.Lives))
	}
	return list
}

var nodeStoresTests = map[string]func(*env){
	"a store is what living nodes have under its name": func(e *env) {
		a, b := e.takeNode(peer("a")), e.takeNode(peer("b"))
		e.ok(e.db.SayStores(e.ctx, a, []meta.NodeStore{bucket("files", "f", "one"), folder("disk")}))
		e.differs(b, "a", false, bucket("files", "g", "one"))
		e.differs(b, "a", false, bucket("disk", "f", "one"))
		e.differs(b, "a", false, bucket("new", "n", "one"), folder("files"))
		e.differs(b, "a", true, bucket("files", "f", "other"))
		e.same("said", e.said(), []string{"a disk true", "a files true"})
		e.ok(e.db.SayStores(e.ctx, b, []meta.NodeStore{bucket("files", "f", "one"), folder("disk"), bucket("new", "n", "one")}))
		e.ok(e.db.SayStores(e.ctx, a, nil)) // it has them no more
		e.same("said", e.said(), []string{"b disk true", "b files true", "b new true"})
	},
	"a bucket that is known may be reached at another address": func(e *env) {
		a, b := e.takeNode(peer("a")), e.takeNode(peer("b"))
		e.ok(e.db.RememberStore(e.ctx, "files"))
		e.ok(e.db.SayStores(e.ctx, a, []meta.NodeStore{bucket("files", "f", "one")}))
		e.ok(e.db.SayStores(e.ctx, b, []meta.NodeStore{bucket("files", "f", "other")}))
	},
	"what a node said before it was started again does not count": func(e *env) {
		a, b := e.takeNode(peer("a")), e.takeNode(peer("b"))
		e.ok(e.db.SayStores(e.ctx, a, []meta.NodeStore{bucket("files", "f", "one")}))
		again := e.takeNode(peer("a"))
		e.same("said", e.said(), []string{"a files false"})
		e.ok(e.db.SayStores(e.ctx, b, []meta.NodeStore{bucket("files", "g", "one")}))
		e.differs(again, "b", false, bucket("files", "f", "one"))
	},
	"nor what one said that is gone": func(e *env) {
		a := e.takeNode(peer("a"))
		e.ok(e.db.SayStores(e.ctx, a, []meta.NodeStore{bucket("files", "f", "one")}))
		e.ok(e.db.LeaveNode(e.ctx, a))
		b := e.takeNode(peer("b"))
		e.ok(e.db.SayStores(e.ctx, b, []meta.NodeStore{bucket("files", "g", "one"), folder("disk")}))
		e.same("said", e.said(), []string{"a files false", "b disk true", "b files true"})
		e.ok(e.db.ForgetSaidStore(e.ctx, "b", "disk"))
		e.clock.Add(time.Hour)
		e.keepNode(b)
		e.prunes(1, "b")
		e.same("said", e.said(), []string{"b files true"})
	},
	"of nodes that say it at once one is the first": func(e *env) {
		done := make(chan error)
		for _, id := range []meta.NodeID{"a", "b"} {
			l := e.takeNode(peer(id))
			go func() { done <- e.db.SayStores(e.ctx, l, []meta.NodeStore{bucket("files", string(id), "one")}) }()
		}
		one, other := <-done, <-done
		if one == nil {
			one = other
		} else {
			e.ok(other)
		}
		if _, ok := errors.AsType[*meta.StoreDiffers](one); !ok {
			e.Fatalf("both have their own: %v", one)
		}
	},
	"the bucket of a store is noted until that is forgotten": func(e *env) {
		e.ok(e.db.NoteStoreBucket(e.ctx, "files", meta.NotedBucket{Node: "a", Bucket: "bucket f/p q"}))
		b := meta.NotedBucket{Node: "b", Bucket: "bucket g"}
		e.ok(e.db.NoteStoreBucket(e.ctx, "other", b))
		_, _, err := e.db.ForgetStore(e.ctx, "other", 10)
		e.ok(err)
		all, err := e.db.StoreBuckets(e.ctx)
		e.ok(err)
		e.same("noted", all, map[string]meta.NotedBucket{"files": {Node: "a", Bucket: "bucket f/p q"}})
	},
	"uploads of a store that is gone are ended": func(e *env) {
		var all []meta.Upload
		for i, store := range []string{"disk", "disk", "other", "", ""} {
			up := e.newUpload(fmt.Sprint(i))
			if up.Node = "lost"; store == "" {
				up.InPlace = nil
			} else {
				up.InPlace.Store = store
			}
			if i == 4 {
				up.Node = "lives"
			}
			all = append(all, e.begin(up))
		}
		e.putShot("a", 1, 5)
		for _, want := range []int{2, 1, 0} {
			n, err := e.db.EndUploadsIn(e.ctx, "disk", "lost", 2)
			e.ok(err)
			e.same("ended", n, want)
		}
		for i, u := range all {
			left, err := e.db.Upload(e.ctx, alice, u.UID)
			if i == 2 || i == 4 {
				e.ok(err)
				e.same("it goes on", left.State, protocol.UploadOpen)
				continue
			}
			e.same(fmt.Sprint("it goes on: ", i), err == nil && left.State == protocol.UploadOpen, false)
		}
		e.uploadsAre("disk", 1)
		e.useIs("disk", meta.StoreUsed)
		e.ok(e.db.CheckDatabase(e.ctx))
	},
	"the files of a store are listed": func(e *env) {
		one, gone := e.putShot("a", 1, 5), e.putShot("b", 2, 5)
		two := e.putShot("c", 1, 5)
		elsewhere := e.oneShot("elsewhere", 9, 3)
		elsewhere.Blob.Store = "other"
		_, err := e.db.PutFile(e.ctx, elsewhere, nil)
		e.ok(err)
		e.ok(e.db.DeleteFile(e.ctx, alice, gone.UID))
		var listed []protocol.UID
		e.ok(e.db.FilesInStore(e.ctx, "disk", func(owner protocol.Owner, uid protocol.UID) error {
			e.same("owner", owner, alice)
			listed = append(listed, uid)
			return nil
		}))
		e.same("files", listed, []protocol.UID{one.UID, two.UID})
		enough := errors.New("enough")
		if err := e.db.FilesInStore(e.ctx, "disk", func(protocol.Owner, protocol.UID) error { return enough }); !errors.Is(err, enough) {
			e.Fatalf("it goes on: %v", err)
		}
	},
}
