package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// nginxSystem is nginx with its DAV module, and curl.
type nginxSystem struct {
	dir  string
	srv  *server
	base string
}

// curlNginx is the name of the system in the tables.
const curlNginx = "curl + nginx"

// nginxConfig is nginx as its makers ship it, without a log of requests and
// with enough connections. %[1]s is its folder, %[2]s its address.
const nginxConfig = `daemon off; worker_processes auto; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 4096; }
http {
  access_log off; sendfile on; client_max_body_size 0;
  client_body_temp_path %[1]s/tmp; proxy_temp_path %[1]s/tmp; fastcgi_temp_path %[1]s/tmp; uwsgi_temp_path %[1]s/tmp; scgi_temp_path %[1]s/tmp;
  server { listen %[2]s; root %[1]s/www; location / { dav_methods PUT DELETE; } }
}
`

func startNginx(ctx context.Context, l *lab, dir string) (system, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	for _, sub := range []string{"www", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	config := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, nginxConfig, dir, address), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command("nginx", "-c", config, "-p", dir, "-e", filepath.Join(dir, "error.log"))
	srv, err := l.startServer(ctx, dir, cmd, listening(address))
	if err != nil {
		return nil, err
	}
	return &nginxSystem{dir: dir, srv: srv, base: "http://" + address + "/"}, nil
}

func (s *nginxSystem) name() string    { return curlNginx }
func (s *nginxSystem) server() *server { return s.srv }

func (s *nginxSystem) put(files []string, atOnce int) job {
	if len(files) == 1 {
		return curl("-T", files[0], s.base+filepath.Base(files[0]))
	}
	var urls []string
	for _, f := range files {
		urls = append(urls, s.base+filepath.Base(f))
	}
	return curlMany(s.dir+".curl", "upload-file", atOnce, files, urls)
}

func (s *nginxSystem) get(names []string, dir string) job {
	if len(names) == 1 {
		return curl("-o", filepath.Join(dir, names[0]), s.base+names[0])
	}
	var files, urls []string
	for _, n := range names {
		files = append(files, filepath.Join(dir, n))
		urls = append(urls, s.base+n)
	}
	return curlMany(s.dir+".curl", "output", 16, files, urls)
}

func (s *nginxSystem) discard(name string) job { return curl(s.base + name) }

func (s *nginxSystem) url(name string) string { return s.base + name }

func (s *nginxSystem) remove(_ context.Context, names []string) error {
	var err error
	for _, n := range names {
		err = errors.Join(err, os.Remove(filepath.Join(s.dir, "www", n)))
	}
	return err
}
