package e2e

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdUntil is `until CODE PROGRAM ARG...` or `until stdout PATTERN PROGRAM
// ARG...`: the program is run until it ends with that code, or prints that,
// which must come to pass.
func cmdUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || args[0] == "stdout" && len(args) < 3 {
		ts.Fatalf("usage: until CODE|stdout PATTERN PROGRAM ARG...")
	}
	var is func(code int) bool
	if args[0] == "stdout" {
		pattern, err := regexp.Compile("(?m)" + args[1])
		ts.Check(err)
		is = func(int) bool { return pattern.MatchString(ts.ReadFile("stdout")) }
		args = args[1:]
	} else {
		want, err := strconv.Atoi(args[0])
		ts.Check(err)
		is = func(code int) bool { return code == want }
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if is(exitCode(ts.Exec(args[1], args[2:]...))) {
			return
		}
	}
	ts.Fatalf("it never came to %s", args[0])
}

// cmdMany is `many DIR COUNT`: a folder of that many files, each with its own
// name for content.
func cmdMany(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: many DIR COUNT")
	}
	count, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.MkdirAll(ts.MkAbs(args[0]), 0o700))
	for i := range count {
		name := strconv.Itoa(10000 + i)
		ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(args[0]), name), []byte(name), 0o600))
	}
}

// cmdSave is `save NAME FILE`: the value of the variable becomes the text of a
// file that is its owner's alone.
func cmdSave(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: save NAME FILE")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(ts.Getenv(args[0])+"\n"), 0o600))
}

// cmdPoke is `poke FILE OFFSET`: one bit of that byte changes.
func cmdPoke(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: poke FILE OFFSET")
	}
	data := []byte(ts.ReadFile(args[0]))
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	data[at] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o600))
}

// daemonLog stands for what the stopped daemon of a script said.
const daemonLog = "log"

// cmdNowhere is `nowhere NAME stdout|stderr|log|PATH...`: the value of the
// variable is in none of them, nor in a file below PATH.
func cmdNowhere(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || ts.Getenv(args[0]) == "" {
		ts.Fatalf("usage: nowhere NAME stdout|stderr|log|PATH...")
	}
	secret := []byte(ts.Getenv(args[0]))
	for _, where := range args[1:] {
		if bytes.Contains(lookedAt(ts, where), secret) {
			ts.Fatalf("$%s is in %s", args[0], where)
		}
	}
}

// lookedAt is all the bytes of a place.
func lookedAt(ts *testscript.TestScript, where string) []byte {
	switch where {
	case "stdout", "stderr":
		return []byte(ts.ReadFile(where))
	case daemonLog:
		d, ok := ts.Value(daemonKey{}).(*scriptDaemon)
		if !ok || d.cmd != nil || d.log.Len() == 0 {
			ts.Fatalf("the log is looked at after: daemon stop")
		}
		return d.log.Bytes()
	}
	var all []byte
	ts.Check(filepath.WalkDir(ts.MkAbs(where), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		all = append(append(all, data...), 0)
		return err
	}))
	if len(all) == 0 {
		ts.Fatalf("%s holds no files", where)
	}
	return all
}
