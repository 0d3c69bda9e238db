package meta

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"sync"
)

// pgTexts are statements in the spelling of Postgres, by their portable one.
// They are few and constant.
type pgTexts struct {
	rebind func(string) string
	known  sync.Map
}

func (x *pgTexts) of(text string) string {
	if v, ok := x.known.Load(text); ok {
		return v.(string)
	}
	v, _ := x.known.LoadOrStore(text, x.rebind(text))
	return v.(string)
}

// pgRunner runs statements on a connection, which keeps them prepared.
type pgRunner struct {
	conn  *sql.Conn
	texts *pgTexts
}

// ExecContext runs a statement.
func (r pgRunner) ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error) {
	args, err := plain(args)
	if err != nil {
		return nil, err
	}
	return r.conn.ExecContext(ctx, r.texts.of(text), args...)
}

// QueryContext runs a statement that gives rows.
func (r pgRunner) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	args, err := plain(args)
	if err != nil {
		return nil, err
	}
	return r.conn.QueryContext(ctx, r.texts.of(text), args...)
}

// plain makes numbers, texts and bytes of the arguments: not every mode of the
// driver knows types by what they are made of.
func plain(args []any) ([]any, error) {
	list := make([]any, len(args))
	for i, a := range args {
		v, err := driver.DefaultParameterConverter.ConvertValue(a)
		if err != nil {
			return nil, err
		}
		list[i] = v
	}
	return list, nil
}
