package job

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
)

const (
	// childPath or childURL names, to a process that is another daemon, its
	// database; childWay says how its handler goes wrong.
	childPath = "JOB_CHILD_PATH"
	childURL  = "JOB_CHILD_URL"
	childWay  = "JOB_CHILD_WAY"
)

// The ways: a handler stands still before or after its effect, writes after it
// stood still for as long as it was made to, or takes the process with it.
const (
	wayBefore = "before"
	wayAfter  = "after"
	wayLate   = "late"
	wayPoison = "poison"
)

// effect is what the handler of these tests does: once for each job, however
// often it is done.
func effect(ctx context.Context, db *meta.DB, r *Run) error {
	_, _, err := db.Enqueue(ctx, meta.NewJob{Kind: "effect", Subject: r.Job.ID.String()})
	return err
}

// child is another daemon, until it is killed. It speaks of what its handler
// does, a word a line, and goes on when it reads one.
func child() error {
	db, err := meta.Open(context.Background(), meta.Config{Path: os.Getenv(childPath), URL: os.Getenv(childURL), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	in := bufio.NewReader(os.Stdin)
	stand := func(word string) {
		fmt.Println(word)
		_, _ = in.ReadString('\n')
	}
	do := func(ctx context.Context, r *Run) error {
		way := os.Getenv(childWay)
		if way == wayPoison {
			return killSelf()
		}
		if way == wayBefore || way == wayLate {
			stand("before")
		}
		// The context has ended where the process stood still for long; a write
		// that does not look at that is what the fence is for.
		err := effect(context.WithoutCancel(ctx), db, r)
		if way == wayLate {
			stand(map[bool]string{true: "lost", false: fmt.Sprint("written ", err)}[errors.Is(err, meta.ErrLeaseLost)])
		}
		if way == wayAfter {
			stand("after")
		}
		return err
	}
	q, err := New(Config{Meta: db, Handlers: []Handler{{Kind: "k", Do: do, Lease: shortLease}}, Holder: meta.JobHolder{Name: "child " + strconv.Itoa(os.Getpid())},
		Poll: 5 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	q.Run(context.Background())
	return nil
}

// killSelf ends the process as nobody can handle.
func killSelf() error {
	p, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	return p.Kill()
}
