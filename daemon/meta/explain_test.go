package meta

import (
	"context"
	"slices"
	"strings"
)

// Explain gives those steps of a statement's plan that read a whole table, or
// a whole index, however large it gets.
func (db *DB) Explain(ctx context.Context, text string) (whole []string, err error) {
	err = db.view(ctx, "explain", func(q query) (err error) {
		if e, ok := db.engine.(*pgEngine); ok {
			whole, err = explainPostgres(q, e.texts.of(text))
			return err
		}
		whole, err = explainSQLite(q, text)
		return err
	})
	return whole, err
}

func explainSQLite(q query, text string) (whole []string, err error) {
	var plan []string
	err = q.each("EXPLAIN QUERY PLAN "+text, anyArgs(text), func(scan scanFunc) error {
		var id, parent, unused int
		var step string
		err := scan(&id, &parent, &unused, &step)
		plan = append(plan, step)
		return err
	})
	for _, step := range plan {
		what, scan := strings.CutPrefix(step, "SCAN ")
		inner := slices.Contains(plan, "CO-ROUTINE "+what) || slices.Contains(plan, "MATERIALIZE "+what)
		if scan && what != "CONSTANT ROW" && !inner {
			whole = append(whole, step)
		}
	}
	return whole, err
}

// anyArgs are as many arguments as the statement has parameters.
func anyArgs(text string) (args []any) {
	for range strings.Count(text, "?") {
		args = append(args, 1)
	}
	return args
}
