package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"time"
)

// deathWork kills a node and measures when what it did is done again.
func deathWork(shared bool) work {
	name, where := "death-disk", "on a disk of its own"
	if shared {
		name, where = "death-shared", "on a store that both nodes share"
	}
	return work{name: name, nodes: &plan{nodes: 2, shared: shared}, measure: func(ctx context.Context, b *bench) (*table, error) {
		b.table = &table{
			title:   fmt.Sprintf("A node is killed that has its files %s (`%s`)", where, name),
			notes:   "From SIGKILL (where no other moment is named) to the end of the first answer that is the one wanted, asked for without a pause at the other node.",
			columns: []column{{head: "ms (least – greatest)", value: func(s sample) float64 { return 1000 * wall(s) }, format: "%.0f", spread: true}},
		}
		d := &death{bench: b, node: b.systems[0].(*ospSystem), other: b.systems[1].(*ospSystem)}
		b.systems = b.systems[:1]
		if _, err := b.stored(ctx, []string{"kept"}, 100_000); err != nil {
			return nil, err
		}
		return b.table, b.rounds(ctx, nil, func(system, int) error { return d.round(ctx, shared) })
	}}
}

// death is that of a node beside another.
type death struct {
	*bench
	node, other *ospSystem
}

func (d *death) round(ctx context.Context, shared bool) error {
	kept := d.other.url("kept")
	if _, err := answered(ctx, kept, http.StatusOK); err != nil { // the nodes know each other
		return err
	}
	fresh, err := newFiles(d.sourceDir()+"-fresh", []string{"fresh"}, 100_000, int(time.Now().UnixNano()))
	if err != nil {
		return err
	}
	killed := time.Now()
	if err := d.node.srv.kill(); err != nil {
		return err
	}
	what, status := "503 owner_down to a read of what it has", http.StatusServiceUnavailable
	if shared {
		what, status = "a read of what was put through it", http.StatusOK
	}
	if err := d.note(ctx, what, killed, kept, status); err != nil {
		return err
	}
	if _, err := d.other.put(fresh, 1)(ctx); err != nil {
		return err
	}
	if err := d.note(ctx, "osp put at the other node, and a read of that", killed, d.other.url("fresh"), http.StatusOK); err != nil {
		return err
	}
	began := time.Now()
	if err := d.node.start(ctx); err != nil {
		return err
	}
	back := "a read at the node itself, from its start"
	if err := d.note(ctx, back, began, d.node.url("kept"), http.StatusOK); err != nil || shared {
		return err
	}
	if err := d.note(ctx, "a read of what it has at the other node, from its start", began, kept, http.StatusOK); err != nil {
		return err
	}
	return d.silent(ctx, kept)
}

// silent has the node stand still, so that nobody tells the other that it is gone.
func (d *death) silent(ctx context.Context, kept string) error {
	process := d.node.srv.cmd.Process
	began := time.Now()
	if err := process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	err := d.note(ctx, "503 owner_down after SIGSTOP, which nothing tells of", began, kept, http.StatusServiceUnavailable)
	began = time.Now()
	if err := errors.Join(err, process.Signal(syscall.SIGCONT)); err != nil {
		return err
	}
	return d.note(ctx, "a read of what it has, from SIGCONT", began, kept, http.StatusOK)
}

// note waits for an answer and notes how long after since it was there.
func (d *death) note(ctx context.Context, row string, since time.Time, url string, status int) error {
	at, err := answered(ctx, url, status)
	if err == nil {
		d.table.add(row, true, sample{wall: at.Sub(since)})
	}
	return err
}

// answered asks until the status is the one wanted, and gives when it was.
func answered(ctx context.Context, url string, status int) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		got, err := statusOf(ctx, url)
		if err == nil && got == status {
			return time.Now(), nil
		}
		if ctx.Err() != nil {
			return time.Time{}, fmt.Errorf("%s is not answered %d but %d: %w", url, status, got, err)
		}
	}
}
