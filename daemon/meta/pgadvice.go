package meta

import (
	"crypto/tls"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/osproxy/osproxy/protocol"
)

// advised says what an error of opening a database means to whoever set it up,
// where it is one that waiting does not mend.
func advised(err error) error {
	e, ok := errors.AsType[*protocol.Error](err)
	if !ok || e.Hint != "" {
		return err
	}
	message, hint := advice(e.Err)
	a := *e
	if a.Hint = hint; message != "" {
		a.Message = message + ", nothing was changed"
	}
	return &a
}

func advice(err error) (message, hint string) {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the database's server shows a certificate that is not trusted",
			"Have the address name the server as its certificate does, and with sslrootcert=FILE the CA that signed it."
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return codeAdvice(e)
	}
	if errors.Is(err, errStandby) {
		return errStandby.Error(),
			"Have the address name the primary, or all of them: postgres://user:password@one,other/name?target_session_attrs=read-write."
	}
	if err != nil && strings.Contains(err.Error(), "server refused TLS connection") {
		return "the database's server takes no encrypted connections",
			"Switch them on there (ssl = on), or have the address say sslmode=disable, where nobody else is on the way to it."
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return "", "Look whether the server runs, and whether host and port of the address are the server's."
	}
	return "", ""
}

func codeAdvice(e *pgconn.PgError) (message, hint string) {
	const create = "CREATE DATABASE name OWNER user ENCODING 'UTF8' TEMPLATE template0"
	switch e.Code {
	case "42501":
		return "the user may not do in the database what ospd needs", "Give ospd a database that is its user's own: " + create + "."
	case "3D000":
		return "the server has no such database", "Make it: " + create + "."
	case "28P01":
		return "the server refuses the user or the password", "Correct the address; in a password, characters that have a meaning in an address are written as %XX."
	case "42704", "22023":
		return "the server refuses a setting of the address", "Correct the address: of what stands behind the question mark the server is given all that is not ospd's."
	case "28000":
		return "the server does not let this user in from here", "Look at the server's pg_hba.conf, which says who may connect to what, from where and how."
	}
	if strings.Contains(e.Message, "unsupported startup parameter") {
		return "a pooler stands before the database, of which the address does not say so", "Add default_query_exec_mode=exec to the address."
	}
	return "", ""
}
