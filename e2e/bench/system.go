package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// system is a server together with a client that its users have.
type system interface {
	// name says which client and which server.
	name() string
	// server is the running server.
	server() *server
	// put stores files under their base names, several of them up to so many
	// at once.
	put(files []string, atOnce int) job
	// get writes files that were put into a folder, under their names.
	get(names []string, dir string) job
	// discard reads one file to nowhere.
	discard(name string) job
	// url is where a plain GET finds a file that was put.
	url(name string) string
	// remove forgets files that were put.
	remove(ctx context.Context, names []string) error
}

// job is what a client does: it returns the CPU time that its programs took.
type job func(ctx context.Context) (cpuTime, error)

// peer is a kind of system that is measured beside ours.
type peer struct {
	name string
	// needs are the programs that have to be on the PATH.
	needs []string
	start func(ctx context.Context, l *lab, dir string) (system, error)
}

func allPeers() []peer {
	return []peer{
		{name: "nginx", needs: []string{"nginx", "curl"}, start: startNginx},
		{name: "tusd", needs: []string{"tusd"}, start: startTusd},
		{name: "minio-mc", needs: []string{"minio", "mc"}, start: startS3(mcMinIO, minio, mc{})},
		{name: "minio-s5cmd", needs: []string{"minio", "s5cmd"}, start: startS3(s5cmdMinIO, minio, s5cmd{})},
		{name: "versitygw-mc", needs: []string{"versitygw", "mc"}, start: startS3(mcVersitygw, versitygw, mc{})},
		{name: "versitygw-s5cmd", needs: []string{"versitygw", "s5cmd"}, start: startS3(s5cmdVersitygw, versitygw, s5cmd{})},
	}
}

func peerNames() []string {
	var all []string
	for _, p := range allPeers() {
		all = append(all, p.name)
	}
	return all
}

// choosePeers returns the peers that list names, or else all whose programs
// are there. nginx and curl are always asked for.
func choosePeers(list string) ([]peer, error) {
	named, err := choose(list, allPeers(), func(p peer) string { return p.name })
	if err != nil {
		return nil, err
	}
	var found []peer
	for _, p := range named {
		missing := missing(p.needs)
		switch {
		case len(missing) == 0:
			found = append(found, p)
		case list != "" || p.name == "nginx":
			return nil, fmt.Errorf("%s needs what is not on the PATH: %s; docs/performance.md says where the peers come from", p.name, strings.Join(missing, ", "))
		}
	}
	return found, nil
}

func missing(programs []string) []string {
	var none []string
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			none = append(none, p)
		}
	}
	return none
}
