package meta

import "fmt"

const (
	pgTables = `SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' ORDER BY 1`
	// pgReferences are those of one column, which all are.
	pgReferences = `SELECT f.conrelid::regclass, a.attname, f.confrelid::regclass, b.attname FROM pg_constraint f
		JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
		JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = f.confkey[1]
		WHERE f.contype = 'f' AND f.connamespace = current_schema()::regnamespace ORDER BY 1, 2`
)

// pgCheck reads every row of every table whole, and looks for rows that refer
// to missing ones. The server sees to both itself, unless its disk is damaged
// or somebody was at work with checks switched off.
func pgCheck(q query) error {
	var tables []string
	if err := q.each(pgTables, nil, func(scan scanFunc) error {
		var name string
		err := scan(&name)
		tables = append(tables, name)
		return err
	}); err != nil {
		return err
	}
	for _, name := range tables {
		if _, err := q.one(fmt.Sprintf(`SELECT COUNT(CAST(t AS TEXT)) FROM %q t`, name), nil, new(int64)); err != nil {
			return err
		}
	}
	return pgCheckReferences(q)
}

func pgCheckReferences(q query) error {
	type reference struct{ from, column, to, key string }
	var list []reference
	if err := q.each(pgReferences, nil, func(scan scanFunc) error {
		var r reference
		err := scan(&r.from, &r.column, &r.to, &r.key)
		list = append(list, r)
		return err
	}); err != nil {
		return err
	}
	for _, r := range list {
		missing, err := q.one(fmt.Sprintf(`SELECT 1 FROM %s a WHERE a.%s IS NOT NULL AND NOT EXISTS (SELECT 1 FROM %s b WHERE b.%s = a.%s) LIMIT 1`,
			r.from, r.column, r.to, r.key, r.column), nil, new(int))
		if err != nil {
			return err
		}
		if missing {
			return broken("the database is damaged: a row of "+r.from+" refers to a missing row of "+r.to, nil)
		}
	}
	return nil
}
