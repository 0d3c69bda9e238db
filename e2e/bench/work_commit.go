package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"

	"github.com/osproxy/osproxy/client"
	"github.com/osproxy/osproxy/protocol"
)

// commitWork measures what comes after the last part of an upload.
func commitWork() work {
	return work{name: "commit", oursAlone: true, measure: func(ctx context.Context, b *bench) (*table, error) {
		b.table = &table{
			title:   "Commit after the last part (`commit`)",
			notes:   "One request, right after the answer to the last part: it syncs what of the upload is not on the disk yet, and publishes the file.",
			columns: []column{millisecondsColumn("commit ms", wall)},
			ratios:  "time / that of the smallest",
			compare: wall,
		}
		sizes := []commitSize{{"10 MiB", 10 << 20}, {"1 GiB", 1 << 30}}
		if b.lab.large {
			sizes = append(sizes, commitSize{"10 GiB", 10 << 30})
		}
		return b.table, b.rounds(ctx, nil, func(s system, round int) error {
			for i := range sizes {
				i = (i + round) % len(sizes)
				if err := b.commit(ctx, s.(*ospSystem), sizes[i], i > 0, round); err != nil {
					return err
				}
			}
			return nil
		})
	}}
}

type commitSize struct {
	name string
	size int64
}

// commit sends an upload of a size to a fresh daemon and measures its commit.
func (b *bench) commit(ctx context.Context, s *ospSystem, c commitSize, compared bool, round int) error {
	if err := s.renew(ctx); err != nil {
		return err
	}
	api, err := client.New(client.Config{Server: s.base})
	if err != nil {
		return err
	}
	defer api.Close()
	up, _, err := api.BeginUpload(ctx, protocol.BeginUpload{Name: "large", Size: &c.size}, "")
	if err != nil {
		return err
	}
	if err := sendParts(ctx, api, up, c.size, uint64(round)); err != nil {
		return err
	}
	one, err := b.observe(ctx, []*server{s.server()}, inside(func(ctx context.Context) error {
		_, _, err := api.Commit(ctx, up.UID, protocol.CommitUpload{})
		return err
	}))
	if err != nil {
		return err
	}
	b.table.add(c.name, compared, one)
	return nil
}

// sendParts sends random bytes as all parts of an upload, four at once.
func sendParts(ctx context.Context, api *client.Client, up protocol.Upload, size int64, seed uint64) error {
	layout := protocol.Layout{Size: size, PartSize: up.PartSize}
	return each(ctx, int(layout.Count()), 4, func(ctx context.Context, i int) error {
		n := protocol.PartNumber(i + 1)
		_, length, err := layout.Range(n)
		if err != nil {
			return err
		}
		var key [32]byte
		binary.BigEndian.PutUint64(key[:], seed)
		binary.BigEndian.PutUint64(key[8:], uint64(n))
		part := make([]byte, length)
		rand.NewChaCha8(key).Read(part)
		_, err = api.PutPart(ctx, up.UID, n, io.NopCloser(bytes.NewReader(part)), length, protocol.SumXXH3(part))
		return err
	})
}
