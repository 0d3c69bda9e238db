package meta

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// quietEnvironment takes away what the environment says of Postgres.
func quietEnvironment(t *testing.T) {
	t.Helper()
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "PG") {
			t.Setenv(name, "")
		}
	}
	t.Setenv("HOME", t.TempDir()) // of ~/.pgpass
}

// ways are the ways on which a connection is tried, one after the other.
func ways(c *pgx.ConnConfig) string {
	text := way(c.Host, c.Port, c.TLSConfig)
	for _, f := range c.Fallbacks {
		text += ", " + way(f.Host, f.Port, f.TLSConfig)
	}
	return text
}

func way(host string, port uint16, t *tls.Config) string {
	end := "in the clear"
	switch {
	case t != nil && t.InsecureSkipVerify:
		end = "encrypted"
	case t != nil:
		end = "verified as " + t.ServerName
	}
	return fmt.Sprintf("%s:%d %s", host, port, end)
}

// Where no other can listen a connection is encrypted if the server can;
// elsewhere it is encrypted and the server is who the address says, unless the
// operator chose otherwise.
func TestAddresses(t *testing.T) {
	for _, c := range []struct{ address, mode, want string }{
		{"postgres://u:p@db.example/ospd", "", "db.example:5432 verified as db.example"},
		{"postgresql://u:p@db.example:6432/ospd", "", "db.example:6432 verified as db.example"},
		{"postgres://db.example/ospd?user=u&password=p", "", "db.example:5432 verified as db.example"},
		{"postgres://u@/ospd?host=db.example&port=7", "", "db.example:7 verified as db.example"},
		{"postgres://u@192.0.2.7/ospd", "", "192.0.2.7:5432 verified as 192.0.2.7"},
		{"postgres://u@[2001:db8::7]:7/ospd", "", "2001:db8::7:7 verified as 2001:db8::7"},
		{"postgres://u@one.example,two.example:7/ospd", "", "one.example:5432 verified as one.example, two.example:7 verified as two.example"},
		{"postgres://u@localhost,two.example/ospd", "", "localhost:5432 verified as localhost, two.example:5432 verified as two.example"},
		{"postgres://u@localhost.example/ospd", "", "localhost.example:5432 verified as localhost.example"},
		{"postgres://u@db.example/ospd?ssl=true", "", "db.example:5432 verified as db.example"},
		{"postgres://u@localhost/ospd", "", "localhost:5432 encrypted, localhost:5432 in the clear"},
		{"postgres://u@127.0.0.9:7/ospd", "", "127.0.0.9:7 encrypted, 127.0.0.9:7 in the clear"},
		{"postgres://u@[::1]/ospd", "", "::1:5432 encrypted, ::1:5432 in the clear"},
		{"postgres://u@/ospd?host=/run/postgresql", "", "/run/postgresql:5432 in the clear"},
		{"postgres://u@%2Frun%2Fpostgresql/ospd", "", "/run/postgresql:5432 in the clear"},
		{"postgres://u@db.example/ospd?sslmode=disable", "", "db.example:5432 in the clear"},
		{"postgres://u@db.example/ospd?sslmode=require", "", "db.example:5432 encrypted"},
		{"postgres://u@db.example/ospd?sslmode=verify-full", "disable", "db.example:5432 verified as db.example"},
		{"postgres://u@db.example/ospd", "require", "db.example:5432 encrypted"},
		{"postgres://u@db.example/ospd", "disable", "db.example:5432 in the clear"},
		{"postgres://u@localhost/ospd", "verify-full", "localhost:5432 verified as localhost"},
	} {
		t.Run(c.address+" "+c.mode, func(t *testing.T) {
			quietEnvironment(t)
			t.Setenv("PGSSLMODE", c.mode)
			a, err := parseAddress(c.address)
			if err != nil {
				t.Fatal(err)
			}
			if got := ways(a.config); got != c.want {
				t.Errorf("it goes to %s\n want %s", got, c.want)
			}
			if a.config.Database != "ospd" || a.config.User != "u" {
				t.Errorf("it is %s's database %s", a.config.User, a.config.Database)
			}
		})
	}
}

// What is wrong with an address is said without any of it.
func TestBadAddresses(t *testing.T) {
	quietEnvironment(t)
	for _, address := range []string{
		"",
		"hunter2",
		"u:hunter2@db.example/ospd",
		"host=db.example user=u password=hunter2 dbname=ospd",
		"mysql://u:hunter2@db.example/ospd",
		"POSTGRES://u:hunter2@db.example/ospd",
		"postgres:u:hunter2@db.example/ospd",
		"postgres://u:hunter2@db.example",
		"postgres://u:hunter2@db.example/",
		"postgres://u:hunter2/x@db.example/ospd",
		"postgres://u:7/hunter2@db.example/ospd",
		"postgres://u:7/hunter2@db.example",
		"postgres://u:hunter2?x@db.example/ospd",
		"postgres://u:7?hunter2@db.example/ospd",
		"postgres://u:hunter2%x@db.example/ospd",
		"postgres://u:hunter2 x@db.example/ospd",
		"postgres://u:x@db.example:hunter2/ospd",
		"postgres://u:x@db.example:0/ospd",
		"postgres://u:x@db.example:65536/ospd",
		"postgres://u@/ospd?host=one.example,two.example&port=7,8,9",
		"postgres://u@db.example/ospd?password=hunter2%",
		"postgres://u@db.example/ospd?password=hunter2;x",
		"postgres://u@db.example/ospd?sslmode=hunter2",
		"postgres://u@db.example/ospd?default_query_exec_mode=hunter2",
		"postgres://u@db.example/ospd?connect_timeout=hunter2",
		"postgres://u@db.example/ospd?target_session_attrs=hunter2",
		"postgres://u@db.example/ospd?pool_max_conns=hunter2",
		"postgres://u@db.example/ospd?pool_max_conns=1",
		"postgres://u@db.example/ospd?pool_max_conns=1001",
		"postgres://u@db.example/ospd?pool_max_conns=-7",
	} {
		err := CheckURL(address)
		if err == nil {
			t.Errorf("%s is accepted", address)
			continue
		}
		for _, piece := range []string{"hunter2", "db.example", "one.example"} {
			if strings.Contains(err.Error(), piece) {
				t.Errorf("%s: the error repeats %s: %v", address, piece, err)
			}
		}
	}
}

// A password may hold anything, written so that it can stand in an address.
func TestPasswordsInAddresses(t *testing.T) {
	quietEnvironment(t)
	for written, want := range map[string]string{
		"hunter2": "hunter2", "": "", "a%3Ab%2Fc%3Fd%23e%40f%5Bg%25h%26i%3Dj%20k%2Bl": "a:b/c?d#e@f[g%h&i=j k+l", "a+b&c=d;e$f,g!": "a+b&c=d;e$f,g!", "%E2%82%AC": "€",
		"hunter2#x": "hunter2#x", "7#hunter2": "7#hunter2", "hunter2[x": "hunter2[x",
	} {
		a, err := parseAddress("postgres://u:" + written + "@db.example/ospd")
		if err != nil || a.config.Password != want {
			t.Errorf("%s is %q, want %q, %v", written, a.config.Password, want, err)
		}
		if strings.Contains(a.name(), want) && want != "" {
			t.Errorf("the password is in the name %s", a.name())
		}
	}
}

// A file that the address names is said to be what is missing.
func TestAddressNamesAMissingFile(t *testing.T) {
	quietEnvironment(t)
	missing := filepath.Join(t.TempDir(), "ca.pem")
	err := CheckURL("postgres://u:hunter2@db.example/ospd?sslrootcert=" + missing)
	if err == nil || !strings.Contains(err.Error(), missing) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

// The settings of connections, and what may be set in the address.
func TestSettingsOfAddresses(t *testing.T) {
	quietEnvironment(t)
	for query, want := range map[string]string{
		"": "20 5s 'ospd' 'UTF8' jit 'off' 5s 2s 15s ",
		"pool_max_conns=7&connect_timeout=9&application_name=x&client_encoding=LATIN1&jit=on&statement_timeout=1min&lock_timeout=3s": "7 9s 'x' 'UTF8' jit 'on' 1min 3s 15s ",
		"default_query_exec_mode=exec": "20 5s 'ospd' 'UTF8' jit ''    " +
			"; SET LOCAL statement_timeout = '5s'; SET LOCAL lock_timeout = '2s'; SET LOCAL idle_in_transaction_session_timeout = '15s'",
		"default_query_exec_mode=simple_protocol&lock_timeout=3%27s": "20 5s 'ospd' 'UTF8' jit ''    " +
			"; SET LOCAL statement_timeout = '5s'; SET LOCAL lock_timeout = '3''s'; SET LOCAL idle_in_transaction_session_timeout = '15s'",
	} {
		a, err := parseAddress("postgres://u@db.example/ospd?" + query)
		if err != nil {
			t.Fatal(err)
		}
		p := a.config.RuntimeParams
		got := fmt.Sprintf("%d %s '%s' '%s' jit '%s' %s %s %s %s", a.connections, a.config.ConnectTimeout.Round(time.Second), p["application_name"], p["client_encoding"], p["jit"],
			p["statement_timeout"], p["lock_timeout"], p["idle_in_transaction_session_timeout"], a.each)
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", query, got, want)
		}
		if _, ok := p["pool_max_conns"]; ok {
			t.Errorf("%s: the server is told of the pool", query)
		}
	}
}
