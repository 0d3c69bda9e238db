package meta

import (
	"database/sql/driver"
	"embed"
	"errors"
	"io"
	"io/fs"
	"net"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/postgres/*.sql
var pgMigrations embed.FS

func pgDialect() dialect {
	return dialect{
		rebind:     pgRebind,
		classify:   pgClassify,
		goose:      goose.DialectPostgres,
		migrations: func() (fs.FS, error) { return fs.Sub(pgMigrations, "migrations/postgres") },
		fenceOff:   pgFenceOff,
		check:      pgCheck,
		patience:   startPatience,
	}
}

// pgRebind numbers the parameters. No statement has a question mark in a
// literal.
func pgRebind(query string) string {
	var b strings.Builder
	for n := 1; ; n++ {
		before, after, found := strings.Cut(query, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString("$" + strconv.Itoa(n))
		query = after
	}
}

// errSilent: the database did not answer in time, errLost: the answer to a
// commit was lost, and the transaction did not take place, errStandby: what it
// answers takes no writes.
var (
	errSilent  = errors.New("the database did not answer")
	errLost    = errors.New("the connection was lost before the commit took place")
	errStandby = errors.New("the server is a standby and takes no writes")
)

// pgClassify reads the code of the server's error; without one the connection
// failed.
func pgClassify(err error) failure {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pgClassifyCode(e)
	}
	if errors.Is(err, errNoLane) {
		return failedRace
	}
	_, noConnection := errors.AsType[*pgconn.ConnectError](err)
	_, network := errors.AsType[net.Error](err)
	for _, gone := range []error{errSilent, errLost, errStandby, driver.ErrBadConn, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed} {
		network = network || errors.Is(err, gone)
	}
	if noConnection || network || pgconn.SafeToRetry(err) {
		return failedAway
	}
	return failed
}

// severity is in English, whatever language the server speaks; a pooler's own
// errors have it only so.
func severity(e *pgconn.PgError) string {
	if e.SeverityUnlocalized != "" {
		return e.SeverityUnlocalized
	}
	return e.Severity
}

// pgClassifyCode goes by https://www.postgresql.org/docs/current/errcodes-appendix.html.
func pgClassifyCode(e *pgconn.PgError) failure {
	switch e.Code {
	case "40001", "40P01": // serialization failure, deadlock
		return failedRace
	case "23505": // unique
		return failedTwice
	case pgNoLock, "57014": // no lock, or no end, in time
		return failedBusy
	case "53100":
		return failedFull
	case "25006": // a standby, as the primary is for a moment when another takes over
		return failedAway
	case "58030", "XX001", "XX002": // input and output, damaged data, damaged index
		return failedBroken
	}
	switch e.Code[:min(2, len(e.Code))] {
	case "08", "53", "57": // connection, resources, the operator
		return failedAway
	case "28", "3D", "22", "42": // who may connect, to what, with which settings
		return failed
	}
	if severity(e) == "FATAL" || severity(e) == "PANIC" {
		return failedAway
	}
	return failed
}
