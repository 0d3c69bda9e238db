package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// The names of the stores that ours has in front of an S3 server.
const (
	// onRemote is the server that the client beside ours uses directly.
	onRemote = "remote"
	// onSource is a second one.
	onSource = "source"
	// onDisk is a folder of this machine.
	onDisk = "disk"
)

// ownPrefix is where the stores of ours lie in a bucket.
const ownPrefix = "ospd"

// startBehind starts an S3 server, ours with everything on it, and the server's
// client, which uses it directly; before them a second server, if files are
// moved from there.
func (b *bench) startBehind(ctx context.Context, w work) ([]system, error) {
	servers := map[string]*s3System{}
	if w.from == onSource {
		source, err := b.startS3Behind(ctx, w.behind, "source")
		if err != nil {
			return nil, err
		}
		b.source = source
		servers[onSource] = source
	}
	theirs, err := b.startS3Behind(ctx, w.behind, w.behind)
	if err != nil {
		return nil, err
	}
	servers[onRemote] = theirs
	into := onRemote
	if w.from != "" {
		into = w.from
	}
	ours, err := startInFront(ctx, b.lab, filepath.Join(b.dir, "ospd"), into, servers)
	if err != nil {
		return []system{theirs}, err
	}
	return []system{ours, theirs}, nil
}

func (b *bench) startS3Behind(ctx context.Context, kind, dir string) (*s3System, error) {
	run := map[string]s3Server{"minio": minio, "versitygw": versitygw}[kind]
	s, err := startS3(direct[kind], run, mc{})(ctx, b.lab, filepath.Join(b.dir, dir))
	if err != nil {
		return nil, err
	}
	return s.(*s3System), nil
}

// startInFront starts ours with stores on S3 servers, in prefixes of their own,
// and one on the disk. New blobs go to the one called into.
func startInFront(ctx context.Context, l *lab, dir, into string, servers map[string]*s3System) (system, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	text := fmt.Sprintf("default_store: %s\nstores:\n  %s: {type: local, path: '%s'}\n", into, onDisk, filepath.Join(dir, "data", "disk"))
	for name, s := range servers {
		text += fmt.Sprintf("  %s: {type: s3, endpoint: 'http://%s', region: %s, bucket: %s, prefix: %s, access_key_id: %s, secret_access_key: %s, path_style: true}\n",
			name, s.host, s3Region, s3Bucket, ownPrefix, s3Key, s3Secret)
	}
	s := &ospSystem{lab: l, dir: dir, config: filepath.Join(dir, "ospd.yaml"), behind: servers, uids: map[string]string{}}
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return s, s.start(ctx)
}
