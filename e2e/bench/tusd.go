package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
)

// tusTusd is the name of the system in the tables.
const tusTusd = "tus client + tusd"

// tusSystem is tusd with a client in the bench: there is no program for it
// that everybody has.
type tusSystem struct {
	srv  *server
	base string
	http *http.Client
	// urls are those of the files that were put, by their names.
	urls map[string]string
}

func startTusd(ctx context.Context, l *lab, dir string) (system, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("tusd", "-host", host, "-port", port, "-upload-dir", filepath.Join(dir, "data"), "-verbose=false")
	srv, err := l.startServer(ctx, dir, cmd, listening(address))
	if err != nil {
		return nil, err
	}
	return &tusSystem{
		srv:  srv,
		base: "http://" + address + "/files/",
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, WriteBufferSize: 256 << 10, ReadBufferSize: 64 << 10, DisableCompression: true}},
		urls: map[string]string{},
	}, nil
}

func (s *tusSystem) name() string    { return tusTusd }
func (s *tusSystem) server() *server { return s.srv }

// put sends each file in one request, which creates the upload and carries
// the bytes.
func (s *tusSystem) put(files []string, atOnce int) job {
	return inside(func(ctx context.Context) error {
		at := make([]string, len(files))
		err := each(ctx, len(files), atOnce, func(ctx context.Context, i int) (err error) {
			at[i], err = s.upload(ctx, files[i])
			return err
		})
		if err != nil {
			return err
		}
		for i, f := range files {
			s.urls[filepath.Base(f)] = at[i]
		}
		return nil
	})
}

// upload returns the URL of a file that it sent.
func (s *tusSystem) upload(ctx context.Context, file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base, f)
	if err != nil {
		return "", err
	}
	req.ContentLength = info.Size()
	req.Header.Set("Upload-Length", fmt.Sprint(info.Size()))
	req.Header.Set("Content-Type", "application/offset+octet-stream")
	resp, err := s.do(req, http.StatusCreated)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Upload-Offset"); got != fmt.Sprint(info.Size()) {
		return "", fmt.Errorf("tusd took %s of %d bytes", got, info.Size())
	}
	at, err := url.Parse(resp.Header.Get("Location"))
	if err != nil {
		return "", err
	}
	return req.URL.ResolveReference(at).String(), nil
}

func (s *tusSystem) do(req *http.Request, status int) (*http.Response, error) {
	req.Header.Set("Tus-Resumable", "1.0.0")
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != status {
		said, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		resp.Body.Close()
		return nil, fmt.Errorf("tusd answered %s: %s", resp.Status, said)
	}
	return resp, nil
}

// ask sends a request without a body about a file that was put.
func (s *tusSystem) ask(ctx context.Context, method, name string, status int) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.urls[name], http.NoBody)
	if err != nil {
		return nil, err
	}
	return s.do(req, status)
}

func (s *tusSystem) get(names []string, dir string) job {
	return inside(func(ctx context.Context) error {
		return each(ctx, len(names), 16, func(ctx context.Context, i int) error {
			return s.download(ctx, names[i], filepath.Join(dir, names[i]))
		})
	})
}

func (s *tusSystem) discard(name string) job {
	return inside(func(ctx context.Context) error { return s.download(ctx, name, os.DevNull) })
}

// download reads one file by one request. Ranges of a file over several
// connections are slower, since tusd locks an upload while it is read.
func (s *tusSystem) download(ctx context.Context, name, to string) error {
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	resp, err := s.ask(ctx, http.MethodGet, name, http.StatusOK)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n, err := io.CopyBuffer(struct{ io.Writer }{out}, resp.Body, make([]byte, 256<<10))
	if err == nil && n != resp.ContentLength {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (s *tusSystem) url(name string) string { return s.urls[name] }

func (s *tusSystem) remove(ctx context.Context, names []string) error {
	return each(ctx, len(names), 16, func(ctx context.Context, i int) error {
		resp, err := s.ask(ctx, http.MethodDelete, names[i], http.StatusNoContent)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	})
}
