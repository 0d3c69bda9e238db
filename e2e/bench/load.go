package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// load sends GETs over a number of connections, shared out among the URLs, each of which sends the next
// when the last one was answered, for a time. It writes and reads HTTP/1.1 by
// hand, the same for every server, so that little of the machine goes to it.
type load struct {
	urls        []string
	connections int
	lasts       time.Duration
}

// loadResult is what a load showed.
type loadResult struct {
	requests int
	rate     float64
	p99      time.Duration
}

// run sends the load. Every answer has to be a 200 with a body.
func (l load) run(ctx context.Context) (loadResult, error) {
	targets := make([]*url.URL, len(l.urls))
	for i, u := range l.urls {
		target, err := url.Parse(u)
		if err != nil {
			return loadResult{}, err
		}
		targets[i] = target
	}
	began := time.Now()
	end := began.Add(l.lasts)
	took := make([][]time.Duration, l.connections)
	err := each(ctx, l.connections, l.connections, func(ctx context.Context, i int) (err error) {
		took[i], err = requests(ctx, targets[i%len(targets)], end)
		return err
	})
	if err != nil {
		return loadResult{}, err
	}
	elapsed := time.Since(began)
	all := slices.Concat(took...)
	return loadResult{requests: len(all), rate: float64(len(all)) / elapsed.Seconds(), p99: quantile(all, 0.99)}, nil
}

// requests sends one after the other until end, one at least, and returns
// what each took.
func requests(ctx context.Context, target *url.URL, end time.Time) ([]time.Duration, error) {
	request := requestFor(target)
	var took []time.Duration
	for {
		last, err := overOneConnection(ctx, target.Host, request, end, &took)
		if err != nil {
			return nil, err
		}
		if last {
			return took, nil
		}
	}
}

func requestFor(target *url.URL) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", target.RequestURI(), target.Host)
}

// overOneConnection sends requests until end, or until the server has the
// connection closed, which it may after an answer; last tells these apart.
func overOneConnection(ctx context.Context, host string, request []byte, end time.Time, took *[]time.Duration) (last bool, err error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", host)
	if err != nil {
		return false, err
	}
	defer c.Close()
	in := bufio.NewReaderSize(c, 16<<10)
	for began := time.Now(); ; {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		if err := c.SetDeadline(began.Add(patience)); err != nil {
			return false, err
		}
		if _, err := c.Write(request); err != nil {
			return false, err
		}
		closes, err := readAnswer(in)
		if err != nil {
			return false, err
		}
		now := time.Now()
		*took = append(*took, now.Sub(began))
		began = now
		if last = !now.Before(end); last || closes {
			return last, nil
		}
	}
}

// readAnswer reads an answer that has to be a 200 with a Content-Length, and
// throws the body away.
func readAnswer(in *bufio.Reader) (closes bool, err error) {
	length, closes, err := readHead(in)
	if err != nil {
		return false, err
	}
	_, err = io.CopyN(io.Discard, in, length)
	return closes, err
}

func readHead(in *bufio.Reader) (length int64, closes bool, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return 0, false, err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
		return 0, false, fmt.Errorf("answered %q", bytes.TrimSpace(line))
	}
	length = -1
	for {
		line, err = in.ReadSlice('\n')
		if err != nil {
			return 0, false, err
		}
		name, value, _ := bytes.Cut(bytes.TrimSpace(line), []byte(":"))
		switch {
		case len(name) == 0 && length < 0:
			return 0, false, errors.New("answered without a Content-Length")
		case len(name) == 0:
			return length, closes, nil
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64); err != nil {
				return 0, false, err
			}
		case bytes.EqualFold(name, []byte("Connection")):
			closes = bytes.EqualFold(bytes.TrimSpace(value), []byte("close"))
		}
	}
}

// quantile is the value that the share q of all is at most.
func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(int(q*float64(len(all))), len(all)-1)]
}

// ownCPU is the CPU time of the bench itself.
func ownCPU() (cpuTime, error) {
	var used syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()), err
}

// inside is the job of work that the bench does itself.
func inside(do func(ctx context.Context) error) job {
	return func(ctx context.Context) (cpuTime, error) {
		before, err := ownCPU()
		if err != nil {
			return 0, err
		}
		if err := do(ctx); err != nil {
			return 0, err
		}
		after, err := ownCPU()
		return after - before, err
	}
}
