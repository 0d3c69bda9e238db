package e2e

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = ".."

// inBackticks is code in running text; fenced blocks are cut out before.
var inBackticks = regexp.MustCompile("`([^`\n]+)`")

// TestArchDocumentNamesWhatExists: every path and every Go name that
// ARCHITECTURE.md writes in backticks is there. Names are written as
// `Name`, `Type.Method`, `package.Name` or `package.Type.Method`; paths have
// a slash or end in .go or .md. Anything else in backticks (a command, a
// state, a header) is not looked at.
func TestArchDocumentNamesWhatExists(t *testing.T) {
	text := readDocument(t, "ARCHITECTURE.md")
	names, dirs := declared(t)
	paths, goNames := 0, 0
	for _, word := range words(text) {
		switch {
		case isPath(word, dirs):
			paths++
			if _, err := os.Stat(filepath.Join(root, strings.TrimSuffix(word, "/..."))); err != nil {
				t.Errorf("ARCHITECTURE.md names %s, which does not exist", word)
			}
		case isGoName(word, names):
			goNames++
			if !names[strings.TrimSuffix(word, "()")] {
				t.Errorf("ARCHITECTURE.md names %s, which is not declared anywhere", word)
			}
		}
	}
	if paths < 20 || goNames < 20 {
		t.Errorf("ARCHITECTURE.md names %d paths and %d Go names: too few to follow a put from the command to the disk", paths, goNames)
	}
}

// isPath: a slash after the first folder of the repository, or a file's ending.
func isPath(word string, dirs []string) bool {
	if strings.ContainsAny(word, " {}<>*:=?") || strings.HasPrefix(word, "/") || strings.HasPrefix(word, "-") {
		return false
	}
	first, _, slash := strings.Cut(word, "/")
	ending := filepath.Ext(word)
	return (slash && slices.Contains(dirs, first)) || (slash && ending == ".go") || (!slash && ending == ".md")
}

var (
	exportedName = regexp.MustCompile(`^(?:[a-z][a-z0-9]*\.)?[A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*(?:\.[A-Za-z][A-Za-z0-9]*)?(?:\(\))?$`)
	called       = regexp.MustCompile(`^(?:[A-Za-z][A-Za-z0-9]*\.){0,2}[a-z][A-Za-z0-9]*\(\)$`)
	header       = regexp.MustCompile(`-`)
)

// isGoName: an exported name, qualified or not, or any name with () after it.
// A qualifier that is no package or type of ours (as in `os.File`) is not ours
// to check.
func isGoName(word string, names map[string]bool) bool {
	if header.MatchString(word) || !(exportedName.MatchString(word) || called.MatchString(word)) {
		return false
	}
	qualifier, _, qualified := strings.Cut(word, ".")
	return !qualified || names[qualifier] || names["package "+qualifier]
}

// declared is every top-level name and method of the module, alone and
// qualified, and the repository's folders.
func declared(t *testing.T) (names map[string]bool, dirs []string) {
	t.Helper()
	names = map[string]bool{}
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") || name == "bin" || name == "dist") {
				return fs.SkipDir
			}
			if filepath.Dir(path) == root {
				dirs = append(dirs, name)
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err == nil {
			declare(names, file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names, dirs
}

func declare(names map[string]bool, file *ast.File) {
	pkg := file.Name.Name
	names["package "+pkg] = true
	add := func(name string) { names[name], names[pkg+"."+name] = true, true }
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				add(d.Name.Name)
			} else if receiver := receiverName(d.Recv.List[0].Type); receiver != "" {
				add(d.Name.Name)
				add(receiver + "." + d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				declareSpec(add, spec)
			}
		}
	}
}

func declareSpec(add func(string), spec ast.Spec) {
	switch s := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range s.Names {
			add(name.Name)
		}
	case *ast.TypeSpec:
		add(s.Name.Name)
		switch body := s.Type.(type) {
		case *ast.StructType:
			addFields(add, s.Name.Name, body.Fields)
		case *ast.InterfaceType:
			addFields(add, s.Name.Name, body.Methods)
		}
	}
}

func addFields(add func(string), owner string, fields *ast.FieldList) {
	for _, field := range fields.List {
		for _, name := range field.Names {
			add(owner + "." + name.Name)
		}
	}
}

func receiverName(expr ast.Expr) string {
	if star, ok := expr.(*ast.StarExpr); ok {
		expr = star.X
	}
	if index, ok := expr.(*ast.IndexExpr); ok {
		expr = index.X
	}
	if ident, ok := expr.(*ast.Ident); ok {
		return ident.Name
	}
	return ""
}

// words are the contents of backticks outside fenced blocks, and of table
// cells and lists alike.
func words(text string) []string {
	var out []string
	fenced := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
			continue
		}
		if fenced {
			continue
		}
		for _, m := range inBackticks.FindAllStringSubmatch(line, -1) {
			out = append(out, m[1])
		}
	}
	return out
}

// TestReadmeCommandsAreTargets: what the documents tell to type with make
// exists, and the two commands of a README are among it.
func TestReadmeCommandsAreTargets(t *testing.T) {
	makefile := readDocument(t, "Makefile")
	for _, name := range append(readmes, "CONTRIBUTING.md") {
		text := readDocument(t, name)
		named := map[string]bool{}
		for _, m := range regexp.MustCompile(`(?m)(?:^|[\x60$ ])make ((?:[a-z][a-z-]*[ ]?)+)`).FindAllStringSubmatch(text, -1) {
			if !strings.Contains(m[0], "`make") && !strings.HasPrefix(strings.TrimLeft(m[0], "$ "), "make") {
				continue
			}
			for _, target := range strings.Fields(m[1]) {
				named[target] = true
			}
		}
		for target := range named {
			if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(target) + `:`).MatchString(makefile) {
				t.Errorf("%s says `make %s`; the Makefile has no such target", name, target)
			}
		}
		if slices.Contains(readmes, name) && (!named["demo"] || !named["test"]) {
			t.Errorf("%s does not show `make demo` and `make test`: %v", name, named)
		}
	}
}

// TestNoTrackedFileNamesAMachine: the project holds no path of a machine that
// it was written on.
func TestNoTrackedFileNamesAMachine(t *testing.T) {
	cmd := exec.Command("git", "ls-files", "-co", "--exclude-standard")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	private := regexp.MustCompile(`(?:^|[\s"'(=\x60])/(?:work|root)/[a-z.]`)
	for name := range strings.Lines(string(out)) {
		name = strings.TrimSpace(name)
		text, err := os.ReadFile(filepath.Join(root, name))
		if os.IsNotExist(err) {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		if found := private.Find(text); found != nil {
			t.Errorf("%s holds a path of one machine: %q", name, found)
		}
	}
}

func readDocument(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDocsExampleConsumer: the consumer that CONTRIBUTING.md shows is the one
// that is compiled and tested.
func TestDocsExampleConsumer(t *testing.T) {
	code, err := os.ReadFile(filepath.Join(root, "daemon/consumer_lines_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(readDocument(t, "CONTRIBUTING.md"), "```go\n"+string(code)+"```\n") {
		t.Error("CONTRIBUTING.md does not show daemon/consumer_lines_test.go as it is")
	}
}

// TestDocsWebhookReceivers: the code that docs/events.md shows is the code that
// is tested.
func TestDocsWebhookReceivers(t *testing.T) {
	text := readDocument(t, "docs/events.md")
	for _, shown := range []struct{ file, from, to string }{
		{"daemon/webhook/verify_test.go", "// Verify reports", "\n}\n"},
		{"docs/examples/webhook_receiver.py", "def verify(", "\n\n\n"},
	} {
		_, code, found := strings.Cut(readDocument(t, shown.file), shown.from)
		code, _, whole := strings.Cut(shown.from+code, shown.to)
		if !found || !whole || !strings.Contains(text, code+strings.TrimSuffix(shown.to, "\n\n")) {
			t.Errorf("docs/events.md does not show what %s has from %q on:\n%s", shown.file, shown.from, code)
		}
	}
}
