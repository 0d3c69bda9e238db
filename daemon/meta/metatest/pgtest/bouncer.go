//go:build unix

package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Pooling is how long PgBouncer leaves a client a connection of the server.
type Pooling string

// The modes: to the end of the client's connection, and of its transaction.
const (
	PerSession     Pooling = "session"
	PerTransaction Pooling = "transaction"
)

// Bouncer is a PgBouncer that runs.
type Bouncer struct {
	dir     string
	process *process
}

// StartBouncer runs one in front of the server in the folder.
func StartBouncer(ctx context.Context, server string, mode Pooling) (_ *Bouncer, err error) {
	program, err := bouncerProgram()
	if err != nil {
		return nil, err
	}
	as, err := unprivileged()
	if err != nil {
		return nil, err
	}
	b := &Bouncer{}
	if b.dir, err = ownDir("ospd-bouncer", as); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Stop())
		}
	}()
	if err := b.configure(server, mode, as); err != nil {
		return nil, err
	}
	if b.process, err = startProcess(program, []string{filepath.Join(b.dir, "pgbouncer.ini")}, b.dir, as); err != nil {
		return nil, err
	}
	return b, b.await(ctx)
}

func bouncerProgram() (string, error) {
	if path, err := exec.LookPath("pgbouncer"); err == nil {
		return path, nil
	}
	const usual = "/usr/sbin/pgbouncer"
	if _, err := os.Stat(usual); err != nil {
		return "", errors.New("these tests need pgbouncer, on PATH or under /usr/sbin: apt-get install pgbouncer")
	}
	return usual, nil
}

// configure writes its files. There are fewer connections of the server than a
// client has of it, so that clients get one after the other.
func (b *Bouncer) configure(server string, mode Pooling, as *syscall.Credential) error {
	users := filepath.Join(b.dir, "users.txt")
	files := map[string]string{
		users: fmt.Sprintf("%q \"\"\n", user),
		filepath.Join(b.dir, "pgbouncer.ini"): fmt.Sprintf("[databases]\n* = host=%s port=5432\n[pgbouncer]\n"+
			"unix_socket_dir=%s\nlisten_port=5432\nauth_type=trust\nauth_file=%s\npool_mode=%s\ndefault_pool_size=%d\nmax_client_conn=300\n",
			server, b.dir, users, mode, map[Pooling]int{PerSession: 60, PerTransaction: 8}[mode]),
	}
	for path, text := range files {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
		if as != nil {
			if err := os.Chown(path, int(as.Uid), int(as.Gid)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *Bouncer) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		c, err := pgx.Connect(ctx, URL(b.dir, "postgres")+"&default_query_exec_mode=exec")
		if err == nil {
			return c.Close(ctx)
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-b.process.ended:
			return fmt.Errorf("pgbouncer ended: %s", logOf(b.dir))
		case <-ctx.Done():
			return fmt.Errorf("pgbouncer does not answer: %w: %s", err, logOf(b.dir))
		}
	}
}

// Dir is the folder that names it to URL and NewProxy, as a server's does.
func (b *Bouncer) Dir() string { return b.dir }

// Before is the address of a database through it, by the address of the
// database. settings are further parameters.
func (b *Bouncer) Before(address string, settings url.Values) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	q := u.Query()
	q.Set("host", b.dir)
	for name, values := range settings {
		q[name] = values
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// Stop ends it and removes its files.
func (b *Bouncer) Stop() error {
	if b.process != nil {
		b.process.end(syscall.SIGTERM)
	}
	return os.RemoveAll(b.dir)
}
