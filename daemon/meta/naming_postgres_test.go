//go:build postgres

package meta

import (
	"context"
	"errors"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// halfNamed has a, in the midst of naming a blob in store "a", wait for goOn.
func halfNamed(t *testing.T, a *DB) (goOn chan struct{}, named chan error) {
	t.Helper()
	began, goOn, named := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		named <- a.named(context.Background(), "name a blob", func(x *tx) error {
			if err := x.takes("a"); err != nil {
				return err
			}
			close(began)
			<-goOn
			_, err := x.addBlob(NewBlob{Store: "a", Key: "k"}, ownerRequest, 0)
			return err
		})
	}()
	<-began
	return goOn, named
}

// A store is closed by one node only once nobody names a blob there on another
// one, who saw it open: whoever closed it sees the blob.
func TestClosingWaitsForNamingElsewhere(t *testing.T) {
	a, b, beside := node(t), node(t), node(t)
	goOn, named := halfNamed(t, a)
	closed := make(chan error, 1)
	var seen int64
	go func() {
		err := b.CloseStore(context.Background(), "a", "b")
		if err == nil {
			seen, err = b.WritingInStore(context.Background(), "a")
		}
		closed <- err
	}()
	awaitBlocked(t, beside)
	close(goOn)
	if err := errors.Join(<-named, <-closed); err != nil {
		t.Fatal(err)
	}
	if seen != 1 {
		t.Errorf("who closed the store saw %d blobs there", seen)
	}
	if _, err := a.AddBlob(t.Context(), NewBlob{Store: "a", Key: "l"}, 0); !errors.Is(err, ErrStoreClosed) {
		t.Errorf("a blob named after that: %v", err)
	}
}

// Those who name blobs do not wait for each other.
func TestNamingBesideNaming(t *testing.T) {
	a, b := node(t), node(t)
	goOn, named := halfNamed(t, a)
	if _, err := b.AddBlob(t.Context(), NewBlob{Store: "a", Key: "l"}, 0); err != nil {
		t.Error(err)
	}
	close(goOn)
	if err := <-named; err != nil {
		t.Error(err)
	}
}

// A migration begins, and goes on, only once nobody is about to name an object
// who saw that it did not run, on whatever node.
func TestMigrationsWaitForNamingElsewhere(t *testing.T) {
	a, b, beside := node(t), node(t), node(t)
	id, _, err := b.Enqueue(t.Context(), NewJob{Kind: protocol.JobMigrate, Subject: MigrationSubject("a", "b")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.CancelJob(t.Context(), AnyOwner, id); err != nil {
		t.Fatal(err)
	}
	goOn, named := halfNamed(t, a)
	retried := make(chan error, 1)
	go func() {
		_, err := b.RetryJob(context.Background(), AnyOwner, id)
		retried <- err
	}()
	awaitBlocked(t, beside)
	if j, err := beside.Job(t.Context(), AnyOwner, id); err != nil || j.State != protocol.JobCancelled {
		t.Errorf("meanwhile it is %s, %v", j.State, err)
	}
	close(goOn)
	if err := errors.Join(<-named, <-retried); err != nil {
		t.Error(err)
	}
}
