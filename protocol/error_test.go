package protocol

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"strconv"
	"strings"
	"testing"
)

// constants are the values of the string constants of a type that the package
// declares, read from its source so that none can be left out of a table.
func constants(t *testing.T, typeName string) []string {
	t.Helper()
	var values []string
	for _, name := range []string{"error.go", "route.go", "token.go", "job.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if id, ok := spec.Type.(*ast.Ident); !ok || id.Name != typeName {
				return true
			}
			for _, v := range spec.Values {
				s, err := strconv.Unquote(v.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				values = append(values, s)
			}
			return true
		})
	}
	if len(values) == 0 {
		t.Fatalf("no constants of type %s", typeName)
	}
	return values
}

// wire9 is the table of WIRE 9, as it stands there: words, HTTP status, osp's
// exit code ("-": none), and whether to try again.
const wire9 = `
bad_request bad_uid bad_name bad_part size_required unknown_field 400 2 no
unauthenticated 401 6 no
forbidden bad_host bad_origin 403 6 no
not_found 404 4 no
method_not_allowed 405 1 no
parts_missing parts_differ digest_differs committed digest_pending conflict 409 9 no
claim_refused 409 - no
length_required 411 1 no
precondition_failed 412 9 no
too_large too_many_parts quota_exceeded 413 11 no
unsupported_media_type 415 1 no
range 416 1 no
checksum_mismatch bad_length 422 7 yes
idempotency_mismatch 422 1 no
rate_limited 429 5 yes
headers_too_large 431 1 no
internal 500 1 no
content_corrupt 500 7 no
unavailable draining owner_down store_unavailable 503 5 yes
store_full 507 11 no
`

// wire12 are the exit codes of WIRE 12 that only a client arrives at.
const wire12 = `
usage 0 2 no
partial 0 3 no
network 0 5 yes
integrity 0 7 no
local_changed 0 8 no
local_exists transfer_busy 0 9 no
local_io 0 1 no
local_missing 0 4 no
local_full 0 11 no
timeout 0 124 yes
interrupted 0 130 yes
terminated 0 143 yes
`

func TestKindsAreTheTableOfTheWire(t *testing.T) {
	want := map[string]string{}
	for line := range strings.Lines(wire9 + wire12) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		row := words[len(words)-3:]
		for _, w := range words[:len(words)-3] {
			want[w] = strings.Join(row, " ")
		}
	}
	seen, titles := map[Kind]bool{}, map[string]bool{}
	for _, r := range Kinds() {
		if seen[r.Kind] || titles[r.Title] || r.Title == "" {
			t.Errorf("%s: its word or title %q is not its own", r.Kind, r.Title)
		}
		seen[r.Kind], titles[r.Title] = true, true
		exit := strconv.Itoa(r.Exit)
		if r.Exit == 0 {
			exit = "-"
		}
		got := fmt.Sprintf("%d %s %s", r.Status, exit, map[bool]string{true: "yes", false: "no"}[r.Retryable])
		if want[string(r.Kind)] != got {
			t.Errorf("%s: %q, want %q", r.Kind, got, want[string(r.Kind)])
		}
		if r.Kind.Row() != r {
			t.Errorf("%s: its row is %+v", r.Kind, r.Kind.Row())
		}
		delete(want, string(r.Kind))
	}
	if len(want) > 0 {
		t.Errorf("no rows for %v", want)
	}
	for _, c := range constants(t, "Kind") {
		if !seen[Kind(c)] {
			t.Errorf("the constant %q has no row", c)
		}
	}
	if got := len(constants(t, "Kind")); got != len(Kinds()) {
		t.Errorf("%d constants and %d rows", got, len(Kinds()))
	}
}

func TestUnknownKindIsInternal(t *testing.T) {
	want := KindInternal.Row()
	want.Kind = "from_the_future"
	if got := Kind("from_the_future").Row(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestKindOf(t *testing.T) {
	inner := Errorf(KindNotFound, "no such file")
	outer := &Error{Kind: KindConflict, Err: inner}
	for _, tt := range []struct {
		err  error
		want Kind
	}{
		{nil, ""},
		{io.EOF, KindInternal},
		{inner, KindNotFound},
		{fmt.Errorf("look up: %w", inner), KindNotFound},
		{outer, KindConflict},
		{errors.Join(io.EOF, inner), KindNotFound},
	} {
		if got := KindOf(tt.err); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.err, got, tt.want)
		}
	}
	if !errors.Is(outer, &Error{Kind: KindNotFound}) || errors.Is(outer, &Error{Kind: KindBadName}) || errors.Is(inner, io.EOF) {
		t.Error("errors.Is does not ask for the kind")
	}
}

func TestErrorPrints(t *testing.T) {
	for want, e := range map[string]*Error{
		"Not found":              {Kind: KindNotFound},
		"put: no space: EOF":     {Kind: KindStoreFull, Op: "put", Message: "no space", Err: io.EOF},
		"part 7 is not there: 1": Errorf(KindBadPart, "part %d is not there: %s", 7, "1"),
	} {
		if got := e.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
