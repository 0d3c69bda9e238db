package main

import (
	"context"
	"fmt"
	"time"

	"github.com/osproxy/osproxy/client"
	"github.com/osproxy/osproxy/protocol"
)

// followEvery is how often the daemon is asked for a job that is measured.
const followEvery = 20 * time.Millisecond

// with gives do a client of the daemon.
func (s *ospSystem) with(ctx context.Context, do func(ctx context.Context, api *client.Client) error) error {
	api, err := client.New(client.Config{Server: s.base})
	if err != nil {
		return err
	}
	defer api.Close()
	return do(ctx, api)
}

// newest is the job of a kind that was made last.
func newest(ctx context.Context, api *client.Client, kind protocol.JobKind) (protocol.Job, error) {
	list, err := api.Jobs(ctx, client.JobQuery{Kind: kind, Limit: 1})
	if err != nil {
		return protocol.Job{}, err
	}
	if len(list.Jobs) == 0 {
		return protocol.Job{}, fmt.Errorf("there is no job of kind %s", kind)
	}
	return list.Jobs[0], nil
}

// follow waits until a job is done, and fails where it ended in another way.
func follow(ctx context.Context, api *client.Client, id protocol.JobID) (protocol.Job, error) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		j, err := api.Job(ctx, id)
		if err != nil {
			return j, err
		}
		if j.State == protocol.JobDone {
			return j, nil
		}
		if j.State.Ended() {
			return j, fmt.Errorf("job %s of kind %s is %s: %s", j.ID, j.Kind, j.State, text(j.Error))
		}
		select {
		case <-ctx.Done():
			return j, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

func text(s *string) string {
	if s == nil {
		return "it says nothing more"
	}
	return *s
}
