package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/osproxy/osproxy/client"
	"github.com/osproxy/osproxy/protocol"
)

// The rows of works in which one node has the bytes on its disk.
const (
	atOwner = "at the node that has it"
	atOther = "at the other node"
)

// peerWorks move a large file through a node on whose disk it does not lie.
func peerWorks(tls bool) []work {
	name, how := "peer-key", "a key between the nodes"
	if tls {
		name, how = "peer-tls", "TLS between the nodes"
	}
	made := func(what, title string, do func(o *owned) error) work {
		name := name + "-" + what
		return work{name: name, nodes: &plan{nodes: 2, tls: tls}, measure: func(ctx context.Context, b *bench) (*table, error) {
			return b.owned(ctx, fmt.Sprintf("%s, %s (`%s`)", title, how, name), do)
		}}
	}
	return []work{
		made("put-1g", "Put 1 GiB through another node", (*owned).puts),
		made("get-1g", "Get 1 GiB to a file through another node", (*owned).gets),
		made("cat-1g", "Get 1 GiB to nowhere through another node", (*owned).cats),
	}
}

// owned is what one node has on its disk, and another hands on.
type owned struct {
	*bench
	ctx          context.Context
	owner, other *ospSystem
}

const ownedNotes = "Two nodes with a disk each and one Postgres. The client asks the node that has the bytes on its disk, or the other, which hands requests and answers on. The CPU is that of both nodes, the peak that of the one that is asked."

func (b *bench) owned(ctx context.Context, title string, do func(o *owned) error) (*table, error) {
	b.table = &table{
		title: title,
		notes: ownedNotes,
		columns: []column{
			wallColumn(),
			secondsColumn("client CPU s", clientCPU),
			secondsColumn("CPU of the nodes s", serverCPU),
			{head: "peak of the node that is asked MB", value: peak, format: "%.0f"},
		},
		ratios:  "through the other / at the owner",
		compare: wall,
		targets: []target{{theirs: atOwner, limit: 1.5}},
	}
	o := &owned{bench: b, ctx: ctx, owner: b.systems[0].(*ospSystem), other: b.systems[1].(*ospSystem)}
	return b.table, do(o)
}

// each measures a job at both nodes in each round.
func (o *owned) each(prepare func(round int) error, do func(s *ospSystem) job, after func() error) error {
	return o.rounds(o.ctx, prepare, func(s system, _ int) error {
		if err := o.quiet(o.ctx); err != nil {
			return err
		}
		asked := s.(*ospSystem)
		row, servers := atOther, []*server{o.other.srv, o.owner.srv}
		if asked == o.owner {
			row, servers = atOwner, []*server{o.owner.srv, o.other.srv}
		}
		one, err := o.observe(o.ctx, servers, do(asked))
		if err != nil {
			return err
		}
		o.table.add(row, asked == o.other, one)
		return after()
	})
}

func (o *owned) gets() error {
	names, dir := names(1), o.sourceDir()+"-got"
	files, err := o.storedAt(names)
	if err != nil {
		return err
	}
	prepare := func(int) error { return os.MkdirAll(dir, 0o755) }
	return o.each(prepare, func(s *ospSystem) job { return s.get(names, dir) }, func() error {
		if err := sameFiles(files, dir); err != nil {
			return err
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		return prepare(0)
	})
}

func (o *owned) cats() error {
	names := names(1)
	if _, err := o.storedAt(names); err != nil {
		return err
	}
	return o.each(nil, func(s *ospSystem) job { return curl(s.url(names[0])) }, func() error { return nil })
}

// storedAt puts files at the owner.
func (o *owned) storedAt(names []string) ([]string, error) {
	files, err := newFiles(o.sourceDir(), names, 1<<30, 0)
	if err != nil {
		return nil, err
	}
	_, err = o.owner.put(files, 1)(o.ctx)
	return files, err
}

// puts measures uploads that began at the owner, whose parts and commit go to one
// node or the other: osp would begin its own at the node it speaks to.
func (o *owned) puts() error {
	o.table.notes += " The upload begins at the owner; its parts, four at a time, and the commit go to the node that is asked, by a client of the bench."
	names := names(1)
	var files []string
	return o.each(
		func(round int) (err error) {
			files, err = newFiles(o.sourceDir(), names, 1<<30, round)
			return err
		},
		func(s *ospSystem) job {
			return inside(func(ctx context.Context) error {
				uid, err := o.upload(ctx, s, files[0])
				s.uids[names[0]] = uid.String()
				return err
			})
		},
		func() error { return o.owner.remove(o.ctx, names) })
}

// upload begins at the owner and sends to a node.
func (o *owned) upload(ctx context.Context, to *ospSystem, file string) (uid protocol.UID, err error) {
	var up protocol.Upload
	size := int64(1 << 30)
	err = o.owner.with(ctx, func(ctx context.Context, api *client.Client) (err error) {
		up, _, err = api.BeginUpload(ctx, protocol.BeginUpload{Name: "large", Size: &size}, "")
		return err
	})
	if err != nil {
		return 0, err
	}
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return up.UID, to.with(ctx, func(ctx context.Context, api *client.Client) error {
		parts := int((size + up.PartSize - 1) / up.PartSize)
		err := each(ctx, parts, 4, func(ctx context.Context, i int) error {
			data, err := io.ReadAll(io.NewSectionReader(f, int64(i)*up.PartSize, up.PartSize))
			if err == nil {
				_, err = api.PutPart(ctx, up.UID, protocol.PartNumber(i+1), io.NopCloser(bytes.NewReader(data)), int64(len(data)), protocol.SumXXH3(data))
			}
			return err
		})
		if err == nil {
			_, _, err = api.Commit(ctx, up.UID, protocol.CommitUpload{})
		}
		return err
	})
}
