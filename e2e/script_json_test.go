package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// shape is the fields of a JSON object and what each may hold.
type shape map[string]func(any) bool

// The shapes of WIRE 12 (and 8, for File objects).
func shapes() map[string]shape {
	id := stringOf(1, 19)
	result := shape{"v": one, "type": word("result"), "op": word("put", "get", "rm", "resume", "prune"), "ok": boolean,
		"path": or(text), "uid": or(id), "name": or(text), "size": or(count), "digest": or(stringOf(64, 64)),
		"outcome":    word("uploaded", "instant", "resumed", "restarted", "downloaded", "already_complete", "deleted", "skipped", "failed"),
		"sent_bytes": count, "resumed_bytes": count, "verified": boolean, "retries": count, "elapsed_ms": count,
		"transfer": or(stringOf(26, 26)), "error": or(object)}
	return map[string]shape{
		"result": result,
		"error":  {"code": text, "exit": count, "message": text, "hint": or(text), "request_id": or(text), "retryable": boolean},
		"summary": {"v": one, "type": word("summary"), "ok": boolean, "exit": count, "items": count, "done": count, "failed": count,
			"bytes": count, "sent_bytes": count, "resumed_bytes": count, "instant_bytes": count, "elapsed_ms": count},
		"file": {"uid": id, "owner": text, "name": text, "size": count, "digest": or(stringOf(64, 64)), "sha256": or(stringOf(64, 64)),
			"md5": or(stringOf(32, 32)), "etag": text, "media_type": or(text), "meta": or(object), "created_at": stringOf(24, 24),
			"committed_at": stringOf(24, 24), "expires_at": or(stringOf(24, 24))},
	}
}

func one(v any) bool     { return v == 1.0 }
func boolean(v any) bool { _, ok := v.(bool); return ok }
func text(v any) bool    { _, ok := v.(string); return ok }
func object(v any) bool  { _, ok := v.(map[string]any); return ok }

func count(v any) bool {
	n, ok := v.(float64)
	return ok && n >= 0 && n == float64(int64(n))
}

func or(f func(any) bool) func(any) bool {
	return func(v any) bool { return v == nil || f(v) }
}

func word(words ...string) func(any) bool {
	return func(v any) bool { s, ok := v.(string); return ok && slices.Contains(words, s) }
}

func stringOf(least, most int) func(any) bool {
	return func(v any) bool { s, ok := v.(string); return ok && len(s) >= least && len(s) <= most }
}

// check says what is wrong with an object, "" for nothing.
func (s shape) check(o map[string]any) string {
	for _, name := range slices.Sorted(maps.Keys(s)) {
		v, ok := o[name]
		if !ok {
			return name + " is missing"
		}
		if !s[name](v) {
			return fmt.Sprintf("%s is %v", name, v)
		}
	}
	for name := range o {
		if s[name] == nil {
			return name + " is not a field"
		}
	}
	return ""
}

// cmdJSON is `json results|files stdout|FILE [LINE FIELD=VALUE...]`. Results
// are result lines and one last summary that agrees with them; files are File
// objects. LINE counts from 1, summary is the last; VALUE is as JSON prints it,
// without the quotes of strings; error.code is the field of a field.
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: json results|files stdout|FILE [LINE FIELD=VALUE...]")
	}
	var lines []map[string]any
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		var o map[string]any
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			ts.Fatalf("%q is no JSON object: %v", line, err)
		}
		lines = append(lines, o)
	}
	if args[0] == "files" {
		for _, o := range lines {
			if wrong := shapes()["file"].check(o); wrong != "" {
				ts.Fatalf("%v: %s", o, wrong)
			}
		}
	} else if wrong := checkResults(lines); wrong != "" {
		ts.Fatalf("%s\n%v", wrong, lines)
	}
	if len(args) == 2 {
		return
	}
	n := len(lines)
	if args[2] != "summary" {
		var err error
		n, err = strconv.Atoi(args[2])
		ts.Check(err)
	}
	if n < 1 || n > len(lines) {
		ts.Fatalf("there are %d lines", len(lines))
	}
	for _, want := range args[3:] {
		name, value, _ := strings.Cut(want, "=")
		if got := field(lines[n-1], name); got != value {
			ts.Fatalf("line %d: %s is %s, want %s", n, name, got, value)
		}
	}
}

// checkResults says what is wrong with the output of --json.
func checkResults(lines []map[string]any) string {
	if len(lines) == 0 {
		return "there is no summary"
	}
	all := shapes()
	var done, failed float64
	moved := map[string]float64{"sent_bytes": 0, "resumed_bytes": 0, "instant_bytes": 0}
	for _, o := range lines[:len(lines)-1] {
		if wrong := all["result"].check(o); wrong != "" {
			return "result: " + wrong
		}
		problem, bad := o["error"].(map[string]any)
		if o["ok"] == bad || (o["outcome"] == "failed") != bad {
			return "ok, outcome and error contradict each other"
		}
		if bad {
			failed++
			if wrong := all["error"].check(problem); wrong != "" {
				return "error: " + wrong
			}
		} else {
			done++
		}
		moved["sent_bytes"] += o["sent_bytes"].(float64) // both are checked to be counts
		moved["resumed_bytes"] += o["resumed_bytes"].(float64)
		if o["outcome"] == "instant" {
			moved["instant_bytes"] += o["size"].(float64)
			if o["verified"] != true || o["digest"] == nil {
				return "an instant result is not verified"
			}
		}
	}
	sum := lines[len(lines)-1]
	if wrong := all["summary"].check(sum); wrong != "" {
		return "summary: " + wrong
	}
	if sum["done"] != done || sum["failed"] != failed || sum["items"] != done+failed || sum["ok"] != (sum["exit"] == 0.0) {
		return "the summary does not agree with the results"
	}
	for name, n := range moved {
		if sum[name] != n {
			return "the summary's " + name + " do not add up"
		}
	}
	return ""
}

// field is a field of an object as text; "a.b" is b of the object a.
func field(o map[string]any, name string) string {
	outer, inner, nested := strings.Cut(name, ".")
	v := o[outer]
	if nested {
		if below, ok := v.(map[string]any); ok {
			return field(below, inner)
		}
	}
	if s, ok := v.(string); ok {
		return s
	}
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(data)
}
