package main

import (
	"context"
	"fmt"
)

// direct are the names of a server's own client on it, in the tables.
var direct = map[string]string{"minio": mcMinIO, "versitygw": mcVersitygw}

// behindTarget is what ours may take in front of a server: its notes say what
// the figures of it leave out.
func behindTarget(server string) target { return target{theirs: direct[server], limit: 1.15} }

const behindNotes = "`ospd` keeps everything on the S3 server that the client beside it uses directly: one server, in turns. What the S3 server takes for `ospd` is not among the figures of ours."

func behindPutWork(server string) work {
	return work{name: server + "-put-1g", behind: server, measure: func(ctx context.Context, b *bench) (*table, error) {
		return b.putsBehind(ctx, fmt.Sprintf("Put 1 GiB, `ospd` in front of %s (`%[1]s-put-1g`)", server), names(1), 1<<30, 1, behindTarget(server))
	}}
}

func behindPutSmallWork(server string) work {
	return work{name: server + "-put-2000", behind: server, measure: func(ctx context.Context, b *bench) (*table, error) {
		return b.putsBehind(ctx, fmt.Sprintf("Put 2,000 files of 16 KiB, `ospd` in front of %s (`%[1]s-put-2000`)", server), names(2000), 16<<10, 16)
	}}
}

func behindGetWork(server string) work {
	return work{name: server + "-get-1g", behind: server, measure: func(ctx context.Context, b *bench) (*table, error) {
		return b.getsBehind(ctx, fmt.Sprintf("Get 1 GiB to a file, `ospd` in front of %s (`%[1]s-get-1g`)", server), names(1), 1<<30, behindTarget(server))
	}}
}

func behindGetSmallWork(server string) work {
	return work{name: server + "-get-2000", behind: server, measure: func(ctx context.Context, b *bench) (*table, error) {
		return b.getsBehind(ctx, fmt.Sprintf("Get 2,000 files of 16 KiB, `ospd` in front of %s (`%[1]s-get-2000`)", server), names(2000), 16<<10)
	}}
}

func (b *bench) putsBehind(ctx context.Context, title string, names []string, size int64, atOnce int, targets ...target) (*table, error) {
	t, err := b.puts(ctx, title, names, size, atOnce, targets...)
	t.notes = behindNotes
	return t, err
}

func (b *bench) getsBehind(ctx context.Context, title string, names []string, size int64, targets ...target) (*table, error) {
	t, err := b.gets(ctx, title, names, size, true, targets...)
	t.notes = behindNotes
	return t, err
}
