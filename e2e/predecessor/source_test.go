package predecessor

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

func (s source) imports(path string) bool {
	for _, i := range s.file.Imports {
		if i.Path.Value == `"`+path+`"` {
			return true
		}
	}
	return false
}

// It compared signatures with ==, which tells by its time how much is right.
func TestA08SecretsAreComparedInConstantTime(t *testing.T) {
	secret := regexp.MustCompile(`(?i)^(mac|proof|nonce|secret|signature|hash|pepper)$|(Mac|Proof|Nonce|Secret|Signature)$`)
	named := func(e ast.Expr) bool {
		switch e := e.(type) {
		case *ast.Ident:
			return secret.MatchString(e.Name)
		case *ast.SelectorExpr:
			return secret.MatchString(e.Sel.Name)
		case *ast.SliceExpr:
			id, ok := e.X.(*ast.Ident)
			return ok && secret.MatchString(id.Name)
		case *ast.CallExpr:
			sel, ok := e.Fun.(*ast.SelectorExpr)
			return ok && sel.Sel.Name == "Sum"
		}
		return false
	}
	macs, compared := 0, 0
	for _, s := range sources(t) {
		if !s.imports("crypto/hmac") && !s.imports("crypto/subtle") {
			continue
		}
		macs++
		ast.Inspect(s.file, func(n ast.Node) bool {
			b, ok := n.(*ast.BinaryExpr)
			if !ok || b.Op != token.EQL && b.Op != token.NEQ {
				return true
			}
			for _, pair := range [][2]ast.Expr{{b.X, b.Y}, {b.Y, b.X}} {
				_, literal := pair[1].(*ast.BasicLit)
				if id, ok := pair[1].(*ast.Ident); ok && id.Name == "nil" {
					literal = true // whether there is one is no secret
				}
				if named(pair[0]) && !literal {
					t.Errorf("%s: a secret is compared with %s; use hmac.Equal", s.at(b), b.Op)
				}
			}
			return true
		})
		s.calls(func(call *ast.CallExpr, pkg, name string) {
			switch pkg + "." + name {
			case "hmac.Equal", "subtle.ConstantTimeCompare":
				compared++
			case "bytes.Equal", "bytes.Compare", "strings.EqualFold", "reflect.DeepEqual":
				for _, arg := range call.Args {
					if named(arg) {
						t.Errorf("%s: a secret is compared with %s.%s; use hmac.Equal", s.at(call), pkg, name)
					}
				}
			}
		})
	}
	if macs < 5 || compared < 4 {
		t.Errorf("%d files use MACs, and compare %d times: the search is broken", macs, compared)
	}
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
