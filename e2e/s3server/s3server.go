//go:build unix

// Package s3server runs real S3 servers for tests, from the programs that are
// installed: in folders of their own, at free ports of loopback, as a user
// without rights where the tests run as root, and gone afterwards.
package s3server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Server is a server that runs, or was killed to run again.
type Server struct {
	Kind Kind
	// Endpoint is its URL. It stays the same when it runs again.
	Endpoint string
	Region   string
	// The account that may do everything.
	AccessKeyID     string
	SecretAccessKey string

	address string
	dir     string
	as      *syscall.Credential
	process *process
	buckets atomic.Int32
}

// Start runs a server for as long as the test, which fails where there is no
// program to run.
func Start(t testing.TB, k Kind) *Server {
	t.Helper()
	s, err := New(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// New runs a server, for whoever stops it.
func New(ctx context.Context, k Kind) (_ *Server, err error) {
	s := &Server{Kind: k, Region: "us-east-1", AccessKeyID: "ospd-test", SecretAccessKey: "ospd-test-secret"}
	if s.as, err = unprivileged(); err != nil {
		return nil, err
	}
	if s.dir, err = ownDir("ospd-s3", s.as); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	if err := makeDir(filepath.Join(s.dir, "data"), s.as); err != nil {
		return nil, err
	}
	for range 5 { // a port that is free may be taken by others before it is ours
		if s.address, err = freeAddress(ctx); err != nil {
			return nil, err
		}
		s.Endpoint = "http://" + s.address
		if err = s.Run(ctx); err == nil || !strings.Contains(err.Error(), "address already in use") {
			break
		}
	}
	return s, err
}

func freeAddress(ctx context.Context) (string, error) {
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// Run runs the server, which does not run, and returns when it answers.
func (s *Server) Run(ctx context.Context) error {
	program, err := s.Kind.program()
	if err != nil {
		return err
	}
	env := append(s.Kind.env(s), "HOME="+s.dir, "LC_ALL=C")
	if s.process, err = startProcess(program, s.Kind.args(s.address, s.dir), env, s.dir, s.as); err != nil {
		return fmt.Errorf("start %s: %w", program, err)
	}
	return s.await(ctx)
}

// startPatience is how long a server may take to answer.
const startPatience = time.Minute

func (s *Server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		err := s.with(func(c *minio.Client) error {
			_, err := c.ListBuckets(ctx)
			return err
		})
		if err == nil {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-s.process.ended:
			return fmt.Errorf("%s ended: %s", s.Kind.Name, s.Log())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w: %s", s.Kind.Name, err, s.Log())
		}
	}
}

// with calls f with a client of the server, of which nothing is left then.
func (s *Server) with(f func(*minio.Client) error) error {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c, err := minio.New(s.address, &minio.Options{
		Creds: credentials.NewStaticV4(s.AccessKeyID, s.SecretAccessKey, ""), Region: s.Region,
		Transport: transport, MaxRetries: 1, BucketLookup: minio.BucketLookupPath,
	})
	if err != nil {
		return err
	}
	return f(c)
}

// Bucket makes a bucket, which is empty.
func (s *Server) Bucket(t testing.TB) string {
	t.Helper()
	name, err := s.NewBucket(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// NewBucket makes a bucket, which is empty.
func (s *Server) NewBucket(ctx context.Context) (string, error) {
	name := fmt.Sprintf("bucket-%d", s.buckets.Add(1))
	err := s.with(func(c *minio.Client) error { return c.MakeBucket(ctx, name, minio.MakeBucketOptions{Region: s.Region}) })
	if err != nil {
		return "", fmt.Errorf("make a bucket on %s: %w: %s", s.Kind.Name, err, s.Log())
	}
	return name, nil
}

// Log is what the server said last.
func (s *Server) Log() string {
	b, err := os.ReadFile(filepath.Join(s.dir, logName))
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4000):])
}

// Kill ends the server at once, and keeps its files.
func (s *Server) Kill() { s.process.kill() }

// Stop ends the server and removes its files.
func (s *Server) Stop() error {
	if s.process != nil {
		s.process.kill()
	}
	return os.RemoveAll(s.dir)
}
