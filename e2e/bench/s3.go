package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The names of the systems in the tables.
const (
	mcMinIO        = "mc + MinIO"
	s5cmdMinIO     = "s5cmd + MinIO"
	mcVersitygw    = "mc + versitygw"
	s5cmdVersitygw = "s5cmd + versitygw"
)

// The account of the S3 servers, which last as long as one work.
const (
	s3Key    = "bench"
	s3Secret = "bench-secret"
	s3Region = "us-east-1"
	s3Bucket = "files"
)

// s3System is a server that speaks S3 with one of its clients.
type s3System struct {
	title  string
	srv    *server
	host   string
	home   string
	client s3Client
}

// s3Client says how a client's command line is written.
type s3Client interface {
	program() string
	// env tells the program where the server is, who asks, and which folder is
	// for its settings.
	env(host, home string) []string
	makeBucket() invocation
	put(files []string, atOnce int) invocation
	get(names []string, dir string) invocation
	cat(name string) invocation
	remove(names []string) invocation
}

// invocation is a command line without the program, and its standard input.
type invocation struct {
	args  []string
	input string
}

// s3Server is how a server is started in a folder, on an address.
type s3Server func(dir, address string) *exec.Cmd

func minio(dir, address string) *exec.Cmd {
	c := exec.Command("minio", "server", "--quiet", "--address", address, "--certs-dir", filepath.Join(dir, "certs"), filepath.Join(dir, "data"))
	c.Env = append(os.Environ(), "MINIO_ROOT_USER="+s3Key, "MINIO_ROOT_PASSWORD="+s3Secret, "MINIO_REGION="+s3Region, "MINIO_BROWSER=off", "HOME="+dir)
	return c
}

func versitygw(dir, address string) *exec.Cmd {
	c := exec.Command("versitygw", "--quiet", "--keep-alive", "--port", address, "--region", s3Region, "posix", filepath.Join(dir, "data"))
	c.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+s3Key, "ROOT_SECRET_KEY="+s3Secret, "HOME="+dir)
	return c
}

// startS3 starts a server for one client.
func startS3(title string, run s3Server, client s3Client) func(context.Context, *lab, string) (system, error) {
	return func(ctx context.Context, l *lab, dir string) (system, error) {
		address, err := freeAddress()
		if err != nil {
			return nil, err
		}
		if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
			return nil, err
		}
		srv, err := l.startServer(ctx, dir, run(dir, address), listening(address))
		if err != nil {
			return nil, err
		}
		s := &s3System{title: title, srv: srv, host: address, home: filepath.Join(l.dir, "s3-client"), client: client}
		// A server may listen before it is ready for its first bucket.
		var failed error
		err = until(ctx, func() bool {
			_, failed = s.run(client.makeBucket())(ctx)
			return failed == nil
		})
		if err != nil {
			return nil, fmt.Errorf("make a bucket: %w: %w", err, failed)
		}
		return s, nil
	}
}

func (s *s3System) name() string    { return s.title }
func (s *s3System) server() *server { return s.srv }

func (s *s3System) run(i invocation) job {
	return func(ctx context.Context) (cpuTime, error) {
		c := exec.CommandContext(ctx, s.client.program(), i.args...)
		c.Env = append(os.Environ(), s.client.env(s.host, s.home)...)
		c.Stdin = strings.NewReader(i.input)
		return command(discarded(c))(ctx)
	}
}

func (s *s3System) put(files []string, atOnce int) job { return s.run(s.client.put(files, atOnce)) }

func (s *s3System) get(names []string, dir string) job { return s.run(s.client.get(names, dir)) }

func (s *s3System) discard(name string) job { return s.run(s.client.cat(name)) }

func (s *s3System) url(name string) string {
	plain := url.URL{Scheme: "http", Host: s.host, Path: "/" + s3Bucket + "/" + name}
	return presign(plain, s3Key, s3Secret, s3Region, time.Now(), time.Hour)
}

func (s *s3System) remove(ctx context.Context, names []string) error {
	_, err := s.run(s.client.remove(names))(ctx)
	return err
}

// mc is the client of MinIO's makers.
type mc struct{}

func (mc) program() string { return "mc" }

func (mc) env(host, home string) []string {
	return []string{"MC_HOST_bench=" + mcHost(host), "MC_CONFIG_DIR=" + home}
}

// mcHost is how mc is told of a server.
func mcHost(host string) string { return "http://" + s3Key + ":" + s3Secret + "@" + host }

func (m mc) makeBucket() invocation { return m.call("mb", "--ignore-existing", "bench/"+s3Bucket) }

// put leaves it to mc how many go at once.
func (m mc) put(files []string, _ int) invocation {
	return m.call(slices.Concat([]string{"cp"}, files, []string{"bench/" + s3Bucket + "/"})...)
}

func (m mc) get(names []string, dir string) invocation {
	return m.call(slices.Concat([]string{"cp"}, prefixed("bench/"+s3Bucket+"/", names), []string{dir + "/"})...)
}

func (m mc) cat(name string) invocation { return m.call("cat", "bench/"+s3Bucket+"/"+name) }

func (m mc) remove(names []string) invocation {
	return m.call(append([]string{"rm", "--force"}, prefixed("bench/"+s3Bucket+"/", names)...)...)
}

func (mc) call(args ...string) invocation {
	return invocation{args: append([]string{"--quiet"}, args...)}
}

// s5cmd is the fast one of the S3 clients.
type s5cmd struct{}

func (s5cmd) program() string { return "s5cmd" }

func (s5cmd) env(host, _ string) []string {
	return []string{"S3_ENDPOINT_URL=http://" + host, "AWS_ACCESS_KEY_ID=" + s3Key, "AWS_SECRET_ACCESS_KEY=" + s3Secret, "AWS_REGION=" + s3Region}
}

func (s5cmd) makeBucket() invocation { return invocation{args: []string{"mb", "s3://" + s3Bucket}} }

func (c s5cmd) put(files []string, atOnce int) invocation {
	var lines []string
	for _, f := range files {
		lines = append(lines, fmt.Sprintf("cp %s s3://%s/%s", f, s3Bucket, filepath.Base(f)))
	}
	return c.batch(atOnce, lines)
}

func (c s5cmd) get(names []string, dir string) invocation {
	var lines []string
	for _, n := range names {
		lines = append(lines, fmt.Sprintf("cp s3://%s/%s %s", s3Bucket, n, filepath.Join(dir, n)))
	}
	return c.batch(16, lines)
}

func (s5cmd) cat(name string) invocation {
	return invocation{args: []string{"cat", "s3://" + s3Bucket + "/" + name}}
}

func (s5cmd) remove(names []string) invocation {
	return invocation{args: append([]string{"rm"}, prefixed("s3://"+s3Bucket+"/", names)...)}
}

// batch has one s5cmd carry out many lines.
func (s5cmd) batch(atOnce int, lines []string) invocation {
	return invocation{args: []string{"--numworkers", fmt.Sprint(atOnce), "run"}, input: strings.Join(lines, "\n") + "\n"}
}

func prefixed(prefix string, names []string) []string {
	var all []string
	for _, n := range names {
		all = append(all, prefix+n)
	}
	return all
}
