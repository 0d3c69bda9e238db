package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
)

// plan is what the nodes of a work are, all on this machine.
type plan struct {
	nodes int
	// tls has the nodes know each other by certificates, not by a key.
	tls bool
	// shared has all keep their bytes in one bucket of MinIO, not on a disk each.
	shared bool
}

// notHere says that what a work needs is not installed.
type notHere struct{ error }

// startNodes starts Postgres, MinIO where it is wanted, and the nodes. What the
// bench's end stops beside them is in b.ends.
func (b *bench) startNodes(ctx context.Context, p plan) ([]system, error) {
	server, err := pgtest.Start(ctx, true)
	if err != nil {
		return nil, notHere{err}
	}
	b.ends = append(b.ends, server.Stop)
	if _, err := pgtest.Create(ctx, server.Dir(), "ospd", "template0"); err != nil {
		return nil, err
	}
	text := fmt.Sprintf("db: '%s'\n", server.URL("ospd"))
	if p.shared {
		bucket, err := b.startBucket(ctx)
		if err != nil {
			return nil, err
		}
		text += bucket
	}
	var running []system
	uids := map[string]string{}
	for i := range p.nodes {
		n := &ospSystem{lab: b.lab, dir: filepath.Join(b.dir, fmt.Sprintf("node%d", i)), uids: uids}
		if err := n.join(ctx, p, text, filepath.Join(b.dir, "authority")); err != nil {
			return running, err
		}
		running = append(running, n)
	}
	return running, nil
}

// startBucket starts MinIO with one bucket, and gives the store in it.
func (b *bench) startBucket(ctx context.Context) (config string, err error) {
	if none := missing([]string{"minio"}); len(none) > 0 {
		return "", notHere{errors.New("minio is not on the PATH")}
	}
	address, err := freeAddress()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(b.dir, "minio")
	if err := os.MkdirAll(filepath.Join(dir, "data", s3Bucket), 0o700); err != nil { // MinIO takes a folder for a bucket
		return "", err
	}
	healthy := func() bool {
		status, err := statusOf(ctx, "http://"+address+"/minio/health/live")
		return err == nil && status == http.StatusOK
	}
	srv, err := b.lab.startServer(ctx, dir, minio(dir, address), healthy)
	if err != nil {
		return "", err
	}
	b.ends = append(b.ends, srv.stop)
	return fmt.Sprintf("stores: {shared: {type: s3, endpoint: 'http://%s', region: %s, bucket: %s, access_key_id: %s, secret_access_key: %s, path_style: true}}\n",
		address, s3Region, s3Bucket, s3Key, s3Secret), nil
}

// join writes a node's configuration and starts it.
func (s *ospSystem) join(ctx context.Context, p plan, text, authority string) error {
	address, err := freeAddress()
	if err != nil {
		return err
	}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return err
	}
	secret := "key: " + strings.Repeat("0123456789abcdef", 4)
	if p.tls {
		made := exec.CommandContext(ctx, s.lab.ospd, "peer-cert", "--ca", authority, "--data", filepath.Join(s.dir, "data"))
		if _, err := command(made)(ctx); err != nil {
			return err
		}
		of := func(name string) string { return filepath.Join(s.dir, "data", "peer", name) }
		secret = fmt.Sprintf("tls: {cert: '%s', key: '%s', ca: '%s'}", of("peer.crt"), of("peer.key"), of("ca.crt"))
	}
	s.config = filepath.Join(s.dir, "ospd.yaml")
	if err := os.WriteFile(s.config, fmt.Appendf(nil, "%scluster: {peer_listen: '%s', %s}\n", text, address, secret), 0o600); err != nil {
		return err
	}
	return s.start(ctx)
}

// together are the servers of some systems.
func together(systems []system) []*server {
	var all []*server
	for _, s := range systems {
		all = append(all, s.server())
	}
	return all
}

// statusOf is the status of a GET whose body came whole.
func statusOf(ctx context.Context, url string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}
