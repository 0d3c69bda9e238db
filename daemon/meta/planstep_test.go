package meta

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// planStep is a node of a plan of Postgres.
type planStep struct {
	Type  string     `json:"Node Type"`
	Table string     `json:"Relation Name"`
	Index string     `json:"Index Name"`
	Cond  string     `json:"Index Cond"`
	Plans []planStep `json:"Plans"`
}

// explainPostgres has the statement planned for arguments that are all small,
// and for such that are all great: one of them is what it finds little with,
// and then nothing large may be read whole.
func explainPostgres(q query, text string) (whole []string, err error) {
	run := func(text string) error {
		_, err := (&tx{query: q}).exec(text)
		return err
	}
	if err := run("PREPARE explained AS " + text); err != nil {
		return nil, err
	}
	var types string
	if _, err := q.one(`SELECT array_to_string(parameter_types, ',') FROM pg_prepared_statements WHERE name = 'explained'`, nil, &types); err != nil {
		return nil, err
	}
	for _, values := range []map[string]string{
		{"bigint": `'1'`, "text": `'1'`, "bytea": `'1'`},
		{"bigint": `'9000000000000000'`, "text": `'~'`, "bytea": `'\xff'`},
	} {
		if whole, err = explainFor(q, types, values); err != nil || len(whole) == 0 {
			break
		}
	}
	return whole, errors.Join(err, run("DEALLOCATE explained"))
}

func explainFor(q query, types string, values map[string]string) (whole []string, err error) {
	var args []string
	for t := range strings.SplitSeq(types, ",") {
		if t != "" {
			args = append(args, cmp.Or(values[t], `'1'`))
		}
	}
	list := ""
	if len(args) > 0 {
		list = "(" + strings.Join(args, ", ") + ")"
	}
	var plan string
	if _, err := q.one("EXPLAIN (FORMAT JSON) EXECUTE explained"+list, nil, &plan); err != nil {
		return nil, err
	}
	var steps []struct{ Plan planStep }
	if err := json.Unmarshal([]byte(plan), &steps); err != nil {
		return nil, err
	}
	for _, s := range steps {
		if err := s.Plan.whole(q, &whole); err != nil {
			return nil, err
		}
	}
	return whole, nil
}

// fewRows is what may be read whole.
const fewRows = 1000

// whole adds the steps that read all of something large.
func (s planStep) whole(q query, list *[]string) error {
	all := ""
	switch {
	case s.Type == "Seq Scan":
		all = s.Table
	case strings.Contains(s.Type, "Index") && s.Cond == "":
		all = s.Index
	}
	if all != "" {
		var rows float64
		if _, err := q.one(`SELECT reltuples FROM pg_class WHERE relname = ? AND relnamespace = current_schema()::regnamespace`, []any{all}, &rows); err != nil {
			return err
		}
		if rows > fewRows {
			*list = append(*list, fmt.Sprintf("%s of %s, %.0f rows", s.Type, all, rows))
		}
	}
	for _, p := range s.Plans {
		if err := p.whole(q, list); err != nil {
			return err
		}
	}
	return nil
}
