package predecessor

import (
	"bytes"
	"go/ast"
	"go/token"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon"
	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// Two uploads of one file at once ended the whole daemon.
func TestS01RacingUploadsEndNothing(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	l := owner.link(toPut("s01"))
	var bodies [][]byte
	for n := range 8 {
		bodies = append(bodies, bytes.Repeat([]byte{byte('a' + n)}, 50_000))
	}
	put := 0
	for _, ans := range atOnce(len(bodies), func(n int) harness.Answer { return stranger.do(http.MethodPut, "/l/"+l.Token, bodies[n]) }) {
		if ans.Err != nil || ans.Status >= 500 {
			t.Errorf("%d %s, %v", ans.Status, ans.Body, ans.Err)
		}
		if ans.Status == http.StatusCreated {
			put++
		}
	}
	for put == 0 { // each took back what another had sent
		ans := stranger.do(http.MethodPut, "/l/"+l.Token, bodies[0])
		if ans.Status == http.StatusCreated {
			put++
		} else if ans.Status != http.StatusConflict {
			t.Fatalf("%d %s", ans.Status, ans.Body)
		}
	}
	ans := owner.want(owner.get(contentOf(l.UID)), http.StatusOK)
	whole := false
	for _, body := range bodies {
		whole = whole || bytes.Equal(body, ans.Body)
	}
	if put != 1 || !whole {
		t.Errorf("%d were put, and it is %d bytes of nobody", put, len(ans.Body))
	}
	// Nothing but main ends the process: serve ends it too, at a second signal.
	for _, s := range sources(t) {
		s.calls(func(call *ast.CallExpr, pkg, name string) {
			ends := pkg == "os" && name == "Exit" || pkg == "log" && (strings.HasPrefix(name, "Fatal") || strings.HasPrefix(name, "Panic")) || pkg == "syscall" && name == "Exit"
			if ends && s.file.Name.Name != "main" && s.path != "cmd/ospd/cli/serve.go" && !strings.HasPrefix(s.path, "daemon/crashpoint/") {
				t.Errorf("%s ends the process", s.at(call))
			}
		})
	}
}

// Objects were overwritten in place: readers saw parts of them.
func TestS02ReadersSeeAllOrNothing(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	content := harness.Content(202, 9<<20)
	l := owner.link(toPut("s02"))
	done := make(chan harness.Answer, 1)
	go func() { done <- stranger.do(http.MethodPut, "/l/"+l.Token, content) }()
	for reading := true; reading; {
		select {
		case ans := <-done:
			stranger.want(ans, http.StatusCreated)
			reading = false
		default:
		}
		ans := owner.get(contentOf(l.UID))
		if ans.Status == http.StatusOK && !bytes.Equal(ans.Body, content) || ans.Status != http.StatusOK && ans.Code() != protocol.KindNotFound {
			t.Fatalf("%d with %d bytes", ans.Status, len(ans.Body))
		}
	}
	owner.holds(contentOf(l.UID), content)
}

// It removed whole trees, by paths that it had put together.
func TestS03NoTreeIsRemoved(t *testing.T) {
	for _, s := range sources(t) {
		s.calls(func(call *ast.CallExpr, pkg, name string) {
			// A trial of a store makes a folder of its own, and removes it.
			if pkg == "os" && name == "RemoveAll" && s.path != "cmd/ospd/cli/trial_clean.go" && !strings.HasPrefix(s.path, "daemon/meta/metatest/") {
				t.Errorf("%s removes a tree", s.at(call))
			}
			if filepath.Dir(s.path) == "store/local" && pkg == "os" && (name == "Remove" || name == "Rename" || name == "OpenFile" || name == "Create") {
				t.Errorf("%s goes around the root that nothing escapes", s.at(call))
			}
		})
	}
}

// Its backend for S3 panicked where a bucket could not be made.
func TestS04BackendsReturnErrors(t *testing.T) {
	for _, s := range sources(t) {
		if !strings.HasPrefix(s.path, "store/") || strings.HasPrefix(s.path, "store/local/record/") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if id, ok := call.Fun.(*ast.Ident); ok && id.Name == "panic" {
					t.Errorf("%s panics", s.at(call))
				}
			}
			return true
		})
	}
}

// It was built on a web framework and networking of years before, with known holes.
func TestS10DependenciesAreRecent(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	// What has parsed foreign bytes wrongly before, and since when it does not.
	for module, least := range map[string][2]int{
		"github.com/valyala/fasthttp": {1, 74}, "golang.org/x/net": {0, 45}, "golang.org/x/crypto": {0, 45}, "golang.org/x/text": {0, 30}, "github.com/jackc/pgx/v5": {5, 7},
	} {
		m := regexp.MustCompile(regexp.QuoteMeta(module) + ` v(\d+)\.(\d+)\.`).FindSubmatch(text)
		if m == nil {
			t.Errorf("%s is not in go.mod", module)
			continue
		}
		major, _ := strconv.Atoi(string(m[1]))
		minor, _ := strconv.Atoi(string(m[2]))
		if major < least[0] || major == least[0] && minor < least[1] {
			t.Errorf("%s is v%d.%d, want v%d.%d", module, major, minor, least[0], least[1])
		}
	}
	if bytes.Contains(text, []byte("gin-gonic")) {
		t.Error("the framework is back")
	}
}

// There was one test, of a function that cut lists.
func TestS11EveryPackageHasTests(t *testing.T) {
	code, tested := map[string]bool{}, map[string]bool{}
	for _, path := range tracked(t, "*.go") {
		dir := filepath.Dir(path)
		switch {
		case strings.HasSuffix(path, "_test.go"):
			tested[dir] = true
		case !strings.HasPrefix(path, "e2e/"):
			code[dir] = true
		}
	}
	// What e2e runs as processes, what tests are made of, and what those of
	// daemon run with all that is around it.
	for _, dir := range []string{"daemon/intake", "daemon/migrate", "daemon/once", "daemon/predecessor", "daemon/scrub", "cmd/osp", "cmd/ospd", "daemon/crashpoint", "daemon/meta/metatest", "daemon/meta/metatest/pgtest", "docs/schema", "docs/schema/schematest", "store/storetest/gotest"} {
		tested[dir] = true
	}
	for dir := range code {
		if !tested[dir] {
			t.Errorf("%s has no tests", dir)
		}
	}
}

// Its data lay below the folder in which it was started.
func TestS12DataDoesNotDependOnTheFolder(t *testing.T) {
	before := daemon.DefaultConfig().Data
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	// All this while a daemon runs here.
	err = filepath.WalkDir(wd, func(path string, d fs.DirEntry, err error) error {
		if ext := filepath.Ext(path); err == nil && path != wd && (d.IsDir() || strings.HasPrefix(ext, ".db") || ext == ".lock") {
			t.Errorf("%s came to lie where the daemon was started", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	t.Chdir(elsewhere)
	if after := daemon.DefaultConfig().Data; after != before || !filepath.IsAbs(after) {
		t.Errorf("the data are at %s, and at %s", before, after)
	}
	owner := shared.as(t, alice)
	owner.holds(contentOf(owner.put("s12", []byte("abc")).UID), []byte("abc"))
	if list, err := os.ReadDir(elsewhere); err != nil || len(list) != 0 {
		t.Errorf("there are %v, %v", list, err)
	}
}

// A node's name and address were what a service on the internet answered, which
// was asked at each step. No address out there is in the program, but for those
// that explain what an address is like.
func TestC01NobodyOutThereIsAsked(t *testing.T) {
	host := regexp.MustCompile(`[a-z]+://([a-zA-Z0-9-]+\.)+[a-z]{2,}`)
	explained := []string{"https://files.example.com", "https://example.com", "https://app.example.com", "https://oss-cn-hangzhou.aliyuncs.com", "https://files-1250000000.cos.ap-nanjing.myqcloud.com"}
	for _, s := range sources(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			for _, found := range host.FindAllString(lit.Value, -1) {
				if !slices.Contains(explained, found) {
					t.Errorf("%s: %s is named", s.at(lit), found)
				}
			}
			return true
		})
	}
}
