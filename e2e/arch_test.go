package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/osproxy/osproxy"

// rule is what a package may import: of this module (may) and of other modules
// (others). "x/..." means x and everything below it.
type rule struct {
	pkg    string
	may    []string
	others []string
}

// rules is the import matrix: the first row that matches a package holds. The
// standard library is free for all but what forbidden says.
var rules = []rule{
	{"protocol", nil, []string{"github.com/zeebo/xxh3"}},

	{"store", []string{"protocol"}, []string{"github.com/cenkalti/backoff/v5"}},
	{"store/open", []string{"protocol", "store/..."}, nil},
	{"store/storetest/...", []string{"protocol", "store", "store/storetest/..."}, nil},
	{"store/object", []string{"protocol", "store"}, []string{"github.com/minio/crc64nvme"}},
	// A vendor's SDK stays in the backend of the vendor.
	{"store/s3", []string{"protocol", "store", "store/object"}, []string{"github.com/minio/minio-go/v7/..."}},
	{"store/oss", []string{"protocol", "store", "store/object"}, []string{"github.com/aliyun/aliyun-oss-go-sdk/..."}},
	{"store/cos", []string{"protocol", "store", "store/object"}, []string{"github.com/tencentyun/cos-go-sdk-v5/..."}},
	{"store/...", []string{"protocol", "store", "store/local/..."}, []string{"golang.org/x/sys/..."}},

	{"daemon/crashpoint", nil, nil},
	{"daemon/layout", []string{"protocol", "daemon/meta"}, nil},
	{"daemon/holder", []string{"protocol", "store", "daemon/meta"}, nil},
	{"daemon/recent", nil, nil},
	// What bytes tell of themselves is told without knowing whose they are.
	{"daemon/sniff", nil, []string{"github.com/gabriel-vasile/mimetype"}},
	{"daemon/names", []string{"protocol"}, []string{"golang.org/x/text/..."}},
	{"daemon/metrics", []string{"protocol", "store"}, []string{"github.com/prometheus/..."}},
	// A server for tests knows nothing of what is kept on it, so that tests of meta itself use it too.
	{"daemon/meta/metatest/pgtest", nil, []string{"github.com/jackc/pgx/v5/..."}},
	{"daemon/meta/metatest/bulk", []string{"protocol"}, []string{"modernc.org/sqlite/...", "github.com/jackc/pgx/v5/..."}},
	{"daemon/meta/metatest", []string{"protocol", "daemon/meta", "daemon/meta/metatest/pgtest"}, []string{"pgregory.net/rapid"}},
	{"daemon/meta", []string{"protocol", "daemon/meta/...", "daemon/recent"}, []string{"modernc.org/sqlite/...", "github.com/jackc/pgx/v5/...", "github.com/pressly/goose/v3/..."}},
	{"daemon/once", []string{"protocol", "daemon/meta"}, nil},
	// Whoever makes blobs asks it; it knows none of them.
	{"daemon/placing", []string{"store", "daemon/crashpoint"}, nil},
	{"daemon/upload", []string{"protocol", "store", "daemon/meta", "daemon/holder", "daemon/placing", "daemon/names", "daemon/once", "daemon/crashpoint"}, []string{"golang.org/x/sync/...", "github.com/zeebo/xxh3"}},
	{"daemon/file", []string{"protocol", "store", "daemon/meta", "daemon/holder", "daemon/layout", "daemon/names", "daemon/recent", "daemon/crashpoint"}, []string{"golang.org/x/sync/..."}},
	// What is signed is told without knowing what is asked.
	{"daemon/cluster/peer", []string{"protocol", "daemon/meta"}, nil},
	{"daemon/cluster", []string{"protocol", "daemon/meta", "daemon/cluster/peer"}, nil},
	// Tokens are made and checked without HTTP: ospd token does it beside a running daemon.
	{"daemon/token", []string{"protocol", "daemon/meta"}, nil},
	{"daemon/link", []string{"protocol", "daemon/meta", "daemon/names", "daemon/once"}, nil},
	{"daemon/event", []string{"protocol", "daemon/meta"}, nil},
	{"daemon/webhook", []string{"protocol", "daemon/meta"}, []string{"golang.org/x/sync/..."}},
	{"daemon/pace", nil, nil},
	{"daemon/digest", []string{"protocol", "daemon/meta", "daemon/holder", "daemon/file", "daemon/job", "daemon/pace", "daemon/sniff", "daemon/crashpoint"}, nil},
	{"daemon/compose", []string{"protocol", "store", "daemon/meta", "daemon/holder", "daemon/job", "daemon/pace", "daemon/crashpoint"}, nil},
	{"daemon/scrub", []string{"protocol", "daemon/meta", "daemon/holder", "daemon/file", "daemon/job", "daemon/pace", "daemon/crashpoint"}, nil},
	{"daemon/sweep", []string{"protocol", "store", "daemon/meta", "daemon/holder"}, []string{"golang.org/x/sync/..."}},
	{"daemon/migrate", []string{"protocol", "store", "daemon/meta", "daemon/holder", "daemon/file", "daemon/job", "daemon/pace", "daemon/crashpoint"}, []string{"golang.org/x/sync/..."}},
	{"daemon/stores", []string{"protocol", "store", "daemon/meta", "daemon/holder"}, nil},
	{"daemon/job", []string{"protocol", "daemon/meta", "daemon/once"}, nil},
	{"daemon/intake", []string{"protocol", "store", "store/local", "daemon/meta", "daemon/holder", "daemon/upload", "daemon/once", "daemon/job", "daemon/names", "daemon/crashpoint"}, []string{"golang.org/x/sync/..."}},
	{"daemon/predecessor", []string{"protocol", "store", "daemon/meta", "daemon/names", "daemon/crashpoint"}, []string{"golang.org/x/sync/...", "github.com/jackc/pgx/v5/..."}},
	{"daemon/fsck", []string{"protocol", "store", "daemon/meta", "daemon/holder", "daemon/layout"}, []string{"golang.org/x/sync/..."}},
	// The document is made of the tables of protocol and the schemas; of the server it is told.
	{"daemon/api/openapi/openapitest", []string{"docs/schema/schematest"}, []string{"github.com/santhosh-tekuri/jsonschema/v6"}},
	{"daemon/api/openapi", []string{"protocol", "docs/schema"}, nil},
	{"daemon/api/docs", nil, nil},
	{"daemon/api", []string{"protocol", "daemon/api/docs", "daemon/api/openapi", "daemon/upload", "daemon/file", "daemon/holder", "daemon/job", "daemon/once", "daemon/intake", "daemon/stores", "daemon/token", "daemon/link", "daemon/names", "daemon/cluster/peer", "daemon/webhook", "daemon/metrics"}, []string{"github.com/valyala/fasthttp/..."}},
	{"daemon", []string{"protocol", "store", "store/open", "daemon/..."}, []string{
		"github.com/prometheus/...", "github.com/knadh/koanf/...", "github.com/gofrs/flock", "github.com/adrg/xdg",
		"github.com/go-viper/mapstructure/v2", "go.yaml.in/yaml/v3",
	}},

	{"client", []string{"protocol"}, []string{"golang.org/x/time/rate"}},
	{"client/transfer", []string{"protocol", "client"}, []string{
		"github.com/adrg/xdg", "github.com/cenkalti/backoff/v5", "github.com/gofrs/flock", "github.com/oklog/ulid/v2",
		"golang.org/x/sync/...", "golang.org/x/sys/...",
	}},

	{"cmd/osp", []string{"cmd/osp/cli"}, nil},
	{"cmd/osp/profile", []string{"protocol"}, []string{"github.com/adrg/xdg", "github.com/gofrs/flock", "go.yaml.in/yaml/v3"}},
	// Reading what may never come is the same for all that read standard input.
	{"cmd/osp/input", nil, nil},
	// What a batch asks for and which lines are done is told without moving anything.
	{"cmd/osp/batch", []string{"protocol", "cmd/osp/input"}, []string{"github.com/gofrs/flock"}},
	// Which files are meant is found without a daemon.
	{"cmd/osp/selection", []string{"protocol", "cmd/osp/input"}, []string{"github.com/bmatcuk/doublestar/v4"}},
	{"cmd/osp/cli", []string{"protocol", "client", "client/transfer", "docs/schema", "cmd/osp/profile", "cmd/osp/selection", "cmd/osp/batch", "cmd/osp/input"}, []string{
		"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/schollz/progressbar/v3", "github.com/dustin/go-humanize",
		"github.com/gabriel-vasile/mimetype", "github.com/mattn/go-isatty", "github.com/rivo/uniseg", "golang.org/x/term", "golang.org/x/text/...",
	}},
	{"cmd/ospd", []string{"cmd/ospd/cli"}, nil},
	{"cmd/ospd/cli", []string{"protocol", "store", "store/open", "store/storetest/...", "daemon", "daemon/crashpoint", "daemon/fsck", "daemon/predecessor", "daemon/sweep"}, []string{
		"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/dustin/go-humanize", "github.com/mattn/go-isatty",
		"golang.org/x/term", "github.com/adrg/xdg",
	}},

	// What is printed and answered, published; tests alone check against it.
	{"docs/schema", nil, nil},
	{"docs/schema/schematest", []string{"docs/schema"}, []string{"github.com/santhosh-tekuri/jsonschema/v6"}},
	// A front is a vendor to the daemon and a client to the S3 server behind it.
	{"e2e/front/...", []string{"e2e/front"}, []string{"github.com/minio/minio-go/v7/pkg/..."}},
	// A server for tests knows nothing of what is kept on it.
	{"e2e/s3server", nil, []string{"github.com/minio/minio-go/v7/..."}},
	{"e2e/...", []string{"protocol", "client/...", "store/...", "daemon/...", "cmd/...", "e2e/...", "docs/schema/..."}, []string{"go.uber.org/goleak", "github.com/rogpeppe/go-internal/...", "github.com/creack/pty"}},
}

// forbidden are imports of the standard library that belong to one place.
var forbidden = []struct {
	pkg     string
	imports []string
	why     string
}{
	{"protocol", []string{"database/sql", "net", "os"}, "protocol is words and pure functions"},
	{"store/...", []string{"database/sql"}, "a store keeps bytes under keys"},
	{"store", []string{"net/http"}, "only the backends of vendors speak HTTP"},
	{"store/local/...", []string{"net/http"}, "only the backends of vendors speak HTTP"},
	{"store/storetest/...", []string{"net/http"}, "only the backends of vendors speak HTTP"},
	{"client/...", []string{"database/sql"}, "an SDK does not bring a database along"},
	{"daemon/upload", []string{"net/http", "database/sql"}, "rules know neither HTTP nor tables"},
	{"daemon/file", []string{"net/http", "database/sql"}, "rules know neither HTTP nor tables"},
	{"daemon/token", []string{"net/http", "database/sql"}, "rules know neither HTTP nor tables"},
	{"daemon/link", []string{"net/http", "database/sql"}, "rules know neither HTTP nor tables"},
	{"daemon/sweep", []string{"net/http", "database/sql"}, "rules know neither HTTP nor tables"},
	{"daemon/compose", []string{"net/http", "database/sql"}, "rules know neither HTTP nor tables"},
	{"daemon/event", []string{"net/http", "database/sql"}, "rules know neither HTTP nor tables"},
	{"daemon/webhook", []string{"database/sql"}, "what is sent knows no tables"},
	{"daemon/cluster/...", []string{"database/sql"}, "what is between nodes knows no tables"},
	{"daemon/job", []string{"net/http", "database/sql"}, "rules know neither HTTP nor tables"},
	{"daemon/predecessor", []string{"net/http", "database/sql"}, "rules know neither HTTP nor our tables"},
	{"daemon/fsck", []string{"net/http", "database/sql"}, "rules know neither HTTP nor tables"},
	{"daemon/meta", []string{"net/http"}, "a database knows no HTTP"},
}

// testers may import testing outside of _test.go files.
var testers = []string{"store/storetest/gotest", "daemon/meta/metatest", "daemon/meta/metatest/pgtest", "e2e/harness", "e2e/faultproxy", "e2e/s3server"}

// nowhere are names that say nothing, and so no package has one.
var nowhere = []string{"util", "utils", "common", "misc", "base", "models", "pkg", "helper", "helpers", "manager", "types", "lib", "shared"}

// goPackage is the part of `go list -json` that is looked at.
type goPackage struct {
	ImportPath   string
	Name         string
	Dir          string
	Doc          string
	GoFiles      []string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func (p goPackage) local() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

// packages lists the module's packages as built with the tags given.
func packages(t *testing.T, tags string) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json", "-tags", tags, module+"/...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("go list found %d packages", len(all))
	}
	return all
}

func TestArchImports(t *testing.T) {
	for _, tags := range []string{"", "crashpoints,servers", "postgres"} {
		for _, p := range packages(t, tags) {
			r, ok := ruleOf(p.local())
			if !ok {
				t.Errorf("%s has no row in the import matrix: give it one, and so a reason", p.local())
				continue
			}
			for _, imported := range p.Imports {
				if !allowed(r, imported) {
					t.Errorf("%s must not import %s", p.local(), imported)
				}
			}
			if slices.Contains(p.Imports, "testing") && !slices.Contains(testers, p.local()) {
				t.Errorf("%s must not import testing outside of tests", p.local())
			}
			for _, f := range forbidden {
				for _, imported := range f.imports {
					if matches(f.pkg, p.local()) && slices.Contains(p.Imports, imported) {
						t.Errorf("%s must not import %s: %s", p.local(), imported, f.why)
					}
				}
			}
		}
	}
}

// TestArchSidesMeetOnlyInProtocol holds for tests too: a test of the client
// that needs a daemon, or the other way round, belongs to e2e.
func TestArchSidesMeetOnlyInProtocol(t *testing.T) {
	for _, p := range packages(t, "") {
		imports := slices.Concat(p.Imports, p.TestImports, p.XTestImports)
		for _, pair := range [][2]string{
			{"client/...", "daemon/..."}, {"client/...", "store/..."}, {"cmd/osp/...", "daemon/..."}, {"cmd/osp/...", "store/..."},
			{"daemon/...", "client/..."}, {"store/...", "daemon/..."}, {"cmd/ospd/...", "client/..."},
			{"daemon/upload", "daemon/file"}, {"daemon/file", "daemon/upload"}, {"protocol", "store/..."},
		} {
			for _, imported := range imports {
				local, ours := strings.CutPrefix(imported, module+"/")
				if ours && matches(pair[0], p.local()) && matches(pair[1], local) {
					t.Errorf("%s must not import %s, not even in a test", p.local(), local)
				}
			}
		}
	}
}

func TestArchEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t, "") {
		if len(p.GoFiles) == 0 {
			continue
		}
		said := 0
		for _, name := range p.GoFiles {
			text, err := os.ReadFile(path.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			said += strings.Count(string(text), "\n// Package "+p.Name+" ") + strings.Count(string(text), "\n// Command "+path.Base(p.local())+" ")
			if strings.HasPrefix(string(text), "// Package ") || strings.HasPrefix(string(text), "// Command ") {
				said++
			}
		}
		if said != 1 || p.Doc == "" {
			t.Errorf("%s has %d package comments, want one", p.local(), said)
		}
		if slices.Contains(nowhere, p.Name) {
			t.Errorf("%s: a package called %q says nothing", p.local(), p.Name)
		}
	}
}

func ruleOf(pkg string) (rule, bool) {
	for _, r := range rules {
		if matches(r.pkg, pkg) {
			return r, true
		}
	}
	return rule{}, false
}

// matches reports whether pkg is what pattern names; "x/..." names x too.
func matches(pattern, pkg string) bool {
	root, all := strings.CutSuffix(pattern, "/...")
	return pkg == root || (all && strings.HasPrefix(pkg, root+"/"))
}

func allowed(r rule, imported string) bool {
	list := r.others
	local, ours := strings.CutPrefix(imported, module+"/")
	if ours {
		list, imported = r.may, local
	} else if host, _, _ := strings.Cut(imported, "/"); !strings.Contains(host, ".") {
		return true
	}
	return slices.ContainsFunc(list, func(pattern string) bool { return matches(pattern, imported) })
}
