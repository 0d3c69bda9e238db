package migrate

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// Request is the job for args that somebody gave who may: both stores are there
// and others, the target answers, and no other migration is in the way. A
// *holder.Elsewhere sends to the node that has the source. Nothing has been done on
// any error.
func (w *Worker) Request(ctx context.Context, args json.RawMessage) (n meta.NewJob, err error) {
	var a Args
	if err := job.ParseArgs(args, &a); err != nil {
		return n, err
	}
	if err := w.findInstances(ctx, &a); err != nil {
		return n, err
	}
	for _, name := range [...]string{a.From, a.To} {
		if w.cfg.Stores[name] == nil {
			return n, w.noStore(name)
		}
	}
	switch {
	case a.From == a.To:
		return n, protocol.Errorf(protocol.KindBadRequest, "from and to are both store %s; nothing was done", a.From)
	case a.Rate < 0:
		return n, protocol.Errorf(protocol.KindBadRequest, "a rate of %d bytes a second cannot be; nothing was done", a.Rate)
	}
	if w.strands(a) {
		return n, stranded(a)
	}
	lacking, err := w.lacking(ctx, a)
	if err == nil && len(lacking) > 0 {
		err = &protocol.Error{Kind: protocol.KindConflict, Message: fmt.Sprintf("not all nodes of the cluster have store %s, and could not read what is moved there: %s; nothing was done", a.To, strings.Join(lacking, ", ")),
			Hint: "Configure it there as it is here, start those nodes again one after the other, and ask again; osp admin nodes lists them."}
	}
	if err != nil {
		return n, err
	}
	if err := w.free(ctx, a); err != nil {
		return n, err
	}
	for _, st := range [...]*store.Store{w.cfg.Stores[a.From], w.cfg.Stores[a.To]} {
		if err := w.cfg.Reach(ctx, st); err != nil {
			return n, &protocol.Error{Kind: protocol.KindStoreUnavailable, Message: fmt.Sprintf("store %s is not reachable; nothing was done", st.Name()),
				Hint: "osp admin stores says why.", Err: err}
		}
	}
	n = meta.NewJob{Kind: protocol.JobMigrate, Subject: subjectOf(a)}
	n.Args, err = json.Marshal(a)
	return n, err
}

// free refuses a migration while another one is about one of its stores. The
// same one again, while it waits to begin, is not another.
func (w *Worker) free(ctx context.Context, a Args) error {
	other, err := w.inTheWay(ctx, a)
	if err != nil || other == nil || other.State == protocol.JobReady && other.Subject == subjectOf(a) {
		return err
	}
	return &protocol.Error{Kind: protocol.KindConflict, Message: fmt.Sprintf("job %s migrates %s already; nothing was done", other.ID, aboutText(*other)),
		Hint: fmt.Sprintf("osp admin jobs follow %s waits for its end, osp admin jobs cancel %s ends it.", other.ID, other.ID)}
}

func subjectOf(a Args) string { return meta.MigrationSubject(a.From, a.To) }

// aboutText says in words which stores a migration is about.
func aboutText(j meta.Job) string {
	from, to := meta.MigrationStores(j.Subject)
	return "from " + from + " to " + to
}

// touches reports whether a migration is in the way of another one.
func touches(j meta.Job, a Args) bool {
	from, to := meta.MigrationStores(j.Subject)
	return meta.MigrationsMeet(from, to, a.From, a.To)
}
