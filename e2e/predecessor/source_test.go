package predecessor

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is where the module begins.
const root = "../.."

// tracked are the files that the repository has.
func tracked(t *testing.T, patterns ...string) []string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"ls-files", "-z", "--"}, patterns...)...)
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	files := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	if len(files) < 2 && len(patterns) == 0 {
		t.Fatalf("git lists %q", files)
	}
	return files
}

// source is a Go file of the product: no test, and nothing for tests alone.
type source struct {
	path string
	set  *token.FileSet
	file *ast.File
}

func (s source) at(n ast.Node) string { return s.set.Position(n.Pos()).String() }

// sources parses the product.
func sources(t *testing.T) (all []source) {
	t.Helper()
	for _, path := range tracked(t, "*.go") {
		if strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "e2e/") || strings.Contains(path, "test/") {
			continue
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, filepath.Join(root, path), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, source{path, set, f})
	}
	if len(all) < 200 {
		t.Fatalf("only %d files are the product", len(all))
	}
	return all
}

// calls visits each call of pkg.name.
func (s source) calls(visit func(call *ast.CallExpr, pkg, name string)) {
	ast.Inspect(s.file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if sel, ok := call.Fun.(*ast.SelectorExpr); ok {
			if pkg, ok := sel.X.(*ast.Ident); ok {
				visit(call, pkg.Name, sel.Sel.Name)
			}
		}
		return true
	})
}

// It compared signatures with ==, which tells by its time how much is right.
func TestA08SecretsAreComparedInConstantTime(t *testing.T) {
	for _, s := range sources(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			if b, ok := n.(*ast.BinaryExpr); ok && (b.Op == token.EQL || b.Op == token.NEQ) {
				if namesSecret(b.X) && !isConstant(b.Y) || namesSecret(b.Y) && !isConstant(b.X) {
					t.Errorf("%s: a secret is compared with %s; use hmac.Equal", s.at(b), b.Op)
				}
			}
			return true
		})
		s.calls(func(call *ast.CallExpr, pkg, name string) {
			switch pkg + "." + name {
			case "bytes.Equal", "bytes.EqualFold", "bytes.Compare", "bytes.HasPrefix", "strings.EqualFold", "strings.Compare", "strings.HasPrefix",
				"slices.Equal", "slices.Compare", "slices.Contains", "slices.Index", "cmp.Compare", "reflect.DeepEqual":
				if slices.ContainsFunc(call.Args, namesSecret) {
					t.Errorf("%s: a secret is compared with %s.%s; use hmac.Equal", s.at(call), pkg, name)
				}
			}
		})
	}
}

// And these are all functions that compare one.
func TestA08ComparisonsOfSecretsAreKnown(t *testing.T) {
	var compare []string
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			in := s
			in.file = &ast.File{Name: s.file.Name, Decls: []ast.Decl{f}}
			in.calls(func(_ *ast.CallExpr, pkg, name string) {
				switch pkg + "." + name {
				case "hmac.Equal", "subtle.ConstantTimeCompare":
					compare = append(compare, s.path+" "+f.Name.Name)
				}
			})
		}
	}
	slices.Sort(compare)
	want := []string{
		"daemon/cluster/peer/client.go believe", "daemon/cluster/peer/verify.go signed", // signatures
		"daemon/link/grant.go verify", "daemon/meta/claim.go Claimed", "daemon/meta/claim.go Claimed", // nonce and proof
		"daemon/meta/claim.go TakeChallenge", "daemon/token/service.go check", "daemon/upload/claim.go prove",
	}
	if !slices.Equal(compare, want) {
		t.Errorf("compared in constant time is in %q, want %q", compare, want)
	}
}

// namesSecret reports whether the expression is, by its name, a secret, or
// something made of one.
func namesSecret(e ast.Expr) bool {
	isSecret := func(name string) bool {
		return slices.ContainsFunc([]string{"Mac", "Proof", "Nonce", "Secret", "Signature", "Pepper"}, func(word string) bool {
			return strings.EqualFold(name, word) || strings.HasSuffix(name, word) && !strings.EqualFold(name, "by"+word) // one way to be let in
		})
	}
	switch e := e.(type) {
	case *ast.Ident:
		return isSecret(e.Name)
	case *ast.SelectorExpr:
		return isSecret(e.Sel.Name)
	case *ast.SliceExpr:
		return namesSecret(e.X)
	case *ast.ParenExpr:
		return namesSecret(e.X)
	case *ast.StarExpr:
		return namesSecret(e.X)
	case *ast.UnaryExpr:
		return namesSecret(e.X)
	case *ast.CallExpr:
		if id, ok := e.Fun.(*ast.Ident); ok && (id.Name == "len" || id.Name == "cap") {
			return false // how long one is is no secret
		}
		return namesSecret(e.Fun) || slices.ContainsFunc(e.Args, namesSecret)
	}
	return false
}

// isConstant reports whether it is a literal, or the nil of what is not there.
func isConstant(e ast.Expr) bool {
	if id, ok := e.(*ast.Ident); ok {
		return id.Name == "nil"
	}
	_, literal := e.(*ast.BasicLit)
	return literal
}

// A private key and default passwords stood in its repository.
func TestA21RepositoryHoldsNoSecret(t *testing.T) {
	extensions := regexp.MustCompile(`\.(pem|key|p12|pfx|jks|env)$`)
	for _, path := range tracked(t) {
		if extensions.MatchString(path) {
			t.Errorf("%s: no such file belongs here", path)
		}
		text, err := os.ReadFile(filepath.Join(root, path))
		if os.IsNotExist(err) {
			continue // deleted, and not committed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range secretsIn(string(text)) {
			if !published(found) {
				t.Errorf("%s: holds %.30q…", path, found)
			}
		}
	}
	for _, text := range []string{"-----BEGIN RSA PRIVATE " + "KEY-----\n" + strings.Repeat("A", 64), "x AKIA" + "0123456789ABCDEF", `secret_access_key: ` + `minioadmin`} {
		if len(secretsIn(text)) != 1 {
			t.Errorf("the search does not find %q", text)
		}
	}
}

// published reports whether it is what the vendors' own documents give as an
// example.
func published(secret string) bool {
	return secret == "AKIAIOSFODNN7EXAMPLE" || secret == "ghp_16C7e42F292c6912E7710c838347Ae178B4a" || strings.HasPrefix(secret, "AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q")
}

// secretsIn are the keys of vendors, private keys and famous passwords in a
// text. Each has a beginning that is looked for first: there is much to read.
func secretsIn(text string) (found []string) {
	for begins, search := range map[string]*regexp.Regexp{
		"PRIVATE KEY": regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----\s*\n?[A-Za-z0-9+/=]{40}`),
		"AKIA":        regexp.MustCompile(`\bAKIA[0-9A-Z]{16}\b`),
		"LTAI":        regexp.MustCompile(`\bLTAI[0-9A-Za-z]{16,20}\b`),
		"AKID":        regexp.MustCompile(`\bAKID[0-9A-Za-z]{32}\b`),
		"ghp_":        regexp.MustCompile(`\bghp_[0-9A-Za-z]{36}\b`),
		"minioadmin":  regexp.MustCompile(`(?i)(password|secret\w*)["']?\s*[:=]\s*["']?minioadmin\b`),
		"123456":      regexp.MustCompile(`(?i)(password|secret\w*)["']?\s*[:=]\s*["']?123456\b`),
		"changeme":    regexp.MustCompile(`(?i)(password|secret\w*)["']?\s*[:=]\s*["']?changeme\b`),
	} {
		if strings.Contains(text, begins) {
			found = append(found, search.FindAllString(text, -1)...)
		}
	}
	return found
}

// Certificates of peers were not looked at.
func TestA22CertificatesAreLookedAt(t *testing.T) {
	for _, s := range sources(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && id.Name == "InsecureSkipVerify" {
				t.Errorf("%s: certificates are not checked", s.at(id))
			}
			return true
		})
	}
}
