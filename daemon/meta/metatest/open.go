package metatest

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
)

// deleteServer has a closed database be without a server id.
const deleteServer = `DELETE FROM settings WHERE name = 'server_id'`

// OnServer runs the tests of m with what their databases need: with the build
// tag postgres a server, which is gone when Run returns. Where memory serves as
// a disk their folders are there: they would learn nothing from waiting for a
// disk. Whole processes are tested on one (e2e/process), and so is store/local.
func OnServer(m *testing.M) interface{ Run() int } { return served{m} }

type served struct{ m *testing.M }

func (s served) Run() int {
	err := errors.Join(flag.Set("rapid.checks", sequences), InMemory())
	var stop func()
	if err == nil {
		stop, err = server()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer stop()
	return s.m.Run()
}

// OpenDB opens the test's database at cfg.Path, as Located has it. The test
// closes it.
func OpenDB(t testing.TB, cfg meta.Config) *meta.DB {
	t.Helper()
	db, err := meta.Open(t.Context(), furnished(t, Located(t, cfg)))
	if err != nil {
		t.Fatal(err)
	}
	return db
}
