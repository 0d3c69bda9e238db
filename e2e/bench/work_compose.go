package main

import (
	"context"
	"fmt"

	"github.com/osproxy/osproxy/client"
	"github.com/osproxy/osproxy/protocol"
)

// composeWork joins the parts of a large file, on the S3 server's side.
func composeWork(server string) work {
	return work{name: server + "-compose", behind: server, measure: func(ctx context.Context, b *bench) (*table, error) {
		b.table = &table{
			title: fmt.Sprintf("Compose 1 GiB, `ospd` in front of %s (`%[1]s-compose`)", server),
			notes: "From the request that commits a file, whose parts are objects of their own, until the job that joins them has ended: the content lies in one object then, of which the storage's checksum " +
				"or a reading has shown that it is the same. Beside it a copy of an object of 1 GiB within the bucket by `mc cp`. No byte of either passes the client. " +
				"What the S3 server takes for `ospd` is not among the figures of ours.",
			columns:  wallColumns(),
			ratios:   oursByTheirs,
			compare:  wall,
			withSync: wallAndSync,
		}
		names := names(1)
		files, err := newFiles(b.sourceDir(), names, 1<<30, 0)
		if err != nil {
			return nil, err
		}
		theirs := b.systems[1].(*s3System)
		if _, err := theirs.put(files, 1)(ctx); err != nil {
			return nil, err
		}
		return b.table, b.rounds(ctx, nil, func(s system, round int) error {
			if ours, ok := s.(*ospSystem); ok {
				return b.compose(ctx, ours, 1<<30, round)
			}
			if err := b.measure(ctx, s.name(), s, theirs.copyWithin(names[0], "copied")); err != nil {
				return err
			}
			return s.remove(ctx, []string{"copied"})
		})
	}}
}

// compose sends an upload of a size to a fresh daemon and measures its commit
// with the job that joins its parts.
func (b *bench) compose(ctx context.Context, s *ospSystem, size int64, round int) error {
	if err := s.renew(ctx); err != nil {
		return err
	}
	return s.with(ctx, func(ctx context.Context, api *client.Client) error {
		up, _, err := api.BeginUpload(ctx, protocol.BeginUpload{Name: "large", Size: &size}, "")
		if err != nil {
			return err
		}
		if err := sendParts(ctx, api, up, size, uint64(round)); err != nil {
			return err
		}
		err = b.measure(ctx, "ospd", s, inside(func(ctx context.Context) error {
			if _, _, err := api.Commit(ctx, up.UID, protocol.CommitUpload{}); err != nil {
				return err
			}
			return joined(ctx, api, size)
		}))
		if err != nil {
			return err
		}
		s.uids["large"] = up.UID.String()
		_, err = s.discard("large")(ctx) // which checks every byte
		return err
	})
}

// joined waits until the content that was committed last lies in one object.
func joined(ctx context.Context, api *client.Client, size int64) error {
	j, err := newest(ctx, api, protocol.JobCompose)
	if err != nil {
		return err
	}
	if j, err = follow(ctx, api, j.ID); err != nil {
		return err
	}
	if j.Progress == nil || j.Progress.Done != size {
		return fmt.Errorf("the parts were not joined: %+v", j.Progress)
	}
	return nil
}
