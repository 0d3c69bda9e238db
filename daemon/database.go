package daemon

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"strings"

	"github.com/go-viper/mapstructure/v2"

	"github.com/osproxy/osproxy/daemon/meta"
)

// Database is where the metadata lies: SQLite in the data folder, which is the
// zero value, or a database of a Postgres server. Its address may hold a
// password, so that whatever prints or logs a Database, or what holds one, has
// the server and the name alone.
type Database struct {
	// address is behind a pointer: fmt prints the fields of a value that it may
	// not ask how it wants to be printed, and does not follow pointers there.
	address *string
}

// sqliteName is how SQLite is asked for.
const sqliteName = "sqlite"

// DatabaseAt is what db: says, "sqlite" or postgres://…, unchecked:
// Config.Complete reports what is wrong with it.
func DatabaseAt(text string) Database {
	if text == sqliteName {
		return Database{}
	}
	return Database{&text}
}

// UnmarshalText is DatabaseAt.
func (d *Database) UnmarshalText(text []byte) error {
	*d = DatabaseAt(string(text))
	return nil
}

// String says which database it is. It cannot be read back.
func (d Database) String() string {
	if d.address == nil {
		return sqliteName
	}
	return meta.DescribeURL(*d.address)
}

// Format has every verb of fmt print String.
func (d Database) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, d.String()) } // as fmt, which has nobody to tell

// MarshalText is String.
func (d Database) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// LogValue is String.
func (d Database) LogValue() slog.Value { return slog.StringValue(d.String()) }

// shared reports whether processes with other data folders reach it.
func (d Database) shared() bool { return d.address != nil }

// check says what is wrong without repeating any of the address.
func (d Database) check() error {
	if d.address == nil {
		return nil
	}
	if scheme, _, _ := strings.Cut(*d.address, ":"); scheme != "postgres" && scheme != "postgresql" {
		return errors.New("db: is neither sqlite nor an address of Postgres, postgres://user:password@host:port/name")
	}
	if err := meta.CheckURL(*d.address); err != nil {
		return fmt.Errorf("db: %w", err)
	}
	return nil
}

// readDatabase has mapstructure read a Database from its text.
func readDatabase() mapstructure.DecodeHookFuncType {
	return func(_, to reflect.Type, data any) (any, error) {
		if to != reflect.TypeFor[Database]() {
			return data, nil
		}
		text, ok := data.(string)
		if !ok {
			return nil, errors.New("is not one text, sqlite or an address of Postgres")
		}
		return DatabaseAt(text), nil
	}
}
