package meta

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// What a connection to Postgres is bound by. pgSettings, and the number of
// connections as pool_max_conns, can be set in the address.
const (
	// pgConnections is how many there are at once.
	pgConnections    = 20
	pgConnectTimeout = 5 * time.Second
	// pgLifetime is how old a connection gets, less up to a tenth so that they
	// are not all renewed at once: a server that was added is found, and what a
	// connection gathered in memory goes.
	pgLifetime = 30 * time.Minute
)

// pgSettings are the bounds that the server keeps: of a statement, of the wait
// for what others hold, and of a transaction whose daemon hangs or is gone
// without a word.
var pgSettings = [...][2]string{
	{"statement_timeout", "5s"},
	{"lock_timeout", "2s"},
	{"idle_in_transaction_session_timeout", "15s"},
}

// pgAddress is a database on a server.
type pgAddress struct {
	config      *pgx.ConnConfig
	connections int
	// each begins a transaction: the settings, where a pooler stands between,
	// since that gives each transaction another connection.
	each string
}

// CheckURL says what is wrong with the address of a Postgres database, without
// repeating any of it: there may be a password in it.
func CheckURL(address string) error {
	_, err := parseAddress(address)
	return err
}

// errAddress does not say what it stumbled over, which the parsers' errors
// quote: it may be the password.
var errAddress = errors.New("not an address of the form postgres://user:password@host:port/name; " +
	"characters of the password that have a meaning in an address are written as %XX")

// addressError is errAddress, unless what is wrong is a file that the address
// names.
func addressError(err error) error {
	if file, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("the address names a file that cannot be read: %w", file)
	}
	return errAddress
}

// ParseURL is how the database of another program is reached: by an address as
// ours is, and with nothing set that ospd sets for its own.
func ParseURL(address string) (*pgx.ConnConfig, error) {
	a, err := readAddress(address)
	if err != nil {
		return nil, err
	}
	return a.config, nil
}

func parseAddress(address string) (a pgAddress, err error) {
	if a, err = readAddress(address); err == nil {
		a.set()
	}
	return a, err
}

// readAddress is parseAddress without the settings.
func readAddress(address string) (a pgAddress, err error) {
	base, query, _ := strings.Cut(address, "?")
	values, err := url.ParseQuery(query)
	if err != nil || !strings.HasPrefix(base, "postgres://") && !strings.HasPrefix(base, "postgresql://") {
		return a, errAddress
	}
	if a.connections, err = poolSize(values.Get("pool_max_conns")); err != nil {
		return a, err
	}
	values.Del("pool_max_conns")
	parse := func() error {
		if a.config, err = pgx.ParseConfig(base + "?" + values.Encode()); err != nil {
			return addressError(err)
		}
		return nil
	}
	if err := parse(); err != nil {
		return a, err
	}
	// Else pgx would go on without encryption where it is refused any, and who is
	// on the way there must not choose that.
	if values.Get("sslmode") == "" && os.Getenv("PGSSLMODE") == "" && !near(a.config) {
		values.Set("sslmode", "verify-full")
		if err := parse(); err != nil {
			return a, err
		}
	}
	if a.config.Database == "" {
		return a, errors.New("the address names no database: postgres://user:password@host:port/NAME")
	}
	if strings.ContainsAny(a.config.Database, "@/") {
		return a, errAddress // a password with a slash in it, most likely
	}
	return a, nil
}

func poolSize(text string) (int, error) {
	if text == "" {
		return pgConnections, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 2 || n > 1000 {
		return 0, errors.New("pool_max_conns is not a number from 2 to 1000")
	}
	return n, nil
}

// near reports whether the server is on this machine.
func near(c *pgx.ConnConfig) bool {
	hosts := []string{c.Host}
	for _, f := range c.Fallbacks {
		hosts = append(hosts, f.Host)
	}
	for _, h := range hosts {
		ip, err := netip.ParseAddr(h)
		if h != "localhost" && !filepath.IsAbs(h) && (err != nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}

// set gives the connections their settings.
func (a *pgAddress) set() {
	params := a.config.RuntimeParams
	fallback := func(name, value string) {
		if params[name] == "" {
			params[name] = value
		}
	}
	fallback("application_name", "ospd")
	params["client_encoding"] = "UTF8"
	for _, s := range pgSettings {
		fallback(s[0], s[1])
	}
	if a.config.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		// Statements are short; what compiling them takes is lost.
		fallback("jit", "off")
	} else {
		for _, s := range pgSettings {
			a.each += fmt.Sprintf("; SET LOCAL %s = '%s'", s[0], strings.ReplaceAll(params[s[0]], "'", "''"))
			delete(params, s[0])
		}
	}
	// A server that is gone without a word is noticed in half a minute.
	dialer := net.Dialer{Timeout: pgConnectTimeout, KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3,
	}}
	a.config.DialFunc = dialer.DialContext
	if a.config.ConnectTimeout == 0 {
		a.config.ConnectTimeout = pgConnectTimeout
	}
}

// idleTimeout is after how long the server ends a transaction whose client does
// nothing, as a literal holds it.
func (a *pgAddress) idleTimeout() string {
	const setting = "idle_in_transaction_session_timeout"
	value := a.config.RuntimeParams[setting]
	for _, s := range pgSettings {
		if s[0] == setting && value == "" { // a pooler stands between
			value = s[1]
		}
	}
	return strings.ReplaceAll(value, "'", "''")
}

// name says which database it is.
func (a *pgAddress) name() string {
	_, address := pgconn.NetworkAddress(a.config.Host, a.config.Port)
	return a.config.Database + " at " + address
}
