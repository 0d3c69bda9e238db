package open_test

import (
	"strings"
	"testing"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/open"
)

func goodS3() open.Config {
	return open.Config{
		Type: "s3", Endpoint: "http://127.0.0.1:9000", Region: "us-east-1", Bucket: "files",
		AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: store.NewSecret("very secret"), PathStyle: true,
	}
}

func TestS3(t *testing.T) {
	b, err := open.Backend(t.Context(), goodS3())
	if err != nil {
		t.Fatal(err)
	}
	for what, ok := range map[string]bool{"Composer": is[store.Composer](b), "Browser": is[store.Browser](b), "Checker": is[store.Checker](b)} {
		if !ok {
			t.Errorf("it is no %s", what)
		}
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		says   string
		change func(*open.Config)
	}{
		{"endpoint: must be", func(c *open.Config) { c.Endpoint = "" }},
		{"endpoint: must be", func(c *open.Config) { c.Endpoint = "127.0.0.1:9000" }},
		{"endpoint: must be", func(c *open.Config) { c.Endpoint = "ftp://127.0.0.1" }},
		{"endpoint: must be", func(c *open.Config) { c.Endpoint = "http://:9000" }},
		{"endpoint: must be", func(c *open.Config) { c.Endpoint = "http://127.0.0.1:9000/files" }},
		{"endpoint: must be", func(c *open.Config) { c.Endpoint = "http://user:very%20secret@127.0.0.1" }},
		{"endpoint: must be", func(c *open.Config) { c.Endpoint = "http://127.0.0.1?x=very%20secret" }},
		{"region: is missing", func(c *open.Config) { c.Region = "" }},
		{"bucket: ", func(c *open.Config) { c.Bucket = "" }},
		{"bucket: ", func(c *open.Config) { c.Bucket = "Files" }},
		{"bucket: ", func(c *open.Config) { c.Bucket = "fi" }},
		{"bucket: ", func(c *open.Config) { c.Bucket = "fi..les" }},
		{"bucket: ", func(c *open.Config) { c.Bucket = "files/x" }},
		{"prefix: ", func(c *open.Config) { c.Prefix = "/a" }},
		{"prefix: ", func(c *open.Config) { c.Prefix = "OSPD-STORE" }},
		{"access_key_id: is missing", func(c *open.Config) { c.AccessKeyID = "" }},
		{"secret_access_key: is missing", func(c *open.Config) { c.SecretAccessKey = store.Secret{} }},
		{"access_key_secret: means nothing", func(c *open.Config) { c.AccessKeySecret = store.NewSecret("x") }},
		{"path: means nothing", func(c *open.Config) { c.Path = "/x" }},
	} {
		bad := goodS3()
		c.change(&bad)
		if err := bad.Check(); err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "very") {
			t.Errorf("want %q: %v", c.says, err)
		}
		if b, err := open.Backend(t.Context(), bad); b != nil || err == nil {
			t.Errorf("want %q: it was opened: %v", c.says, err)
		}
	}
}

func TestOverlaps(t *testing.T) {
	in := func(change func(*open.Config)) open.Config {
		c := goodS3()
		change(&c)
		return c
	}
	local := open.Config{Type: "local", Path: "/a b"}
	for _, c := range []struct {
		name string
		a, b open.Config
		want bool
	}{
		{"the same", goodS3(), goodS3(), true},
		{"by another account", goodS3(), in(func(c *open.Config) { c.AccessKeyID = "x" }), true},
		{"written differently", in(func(c *open.Config) { c.Endpoint = "https://S3.example:443/" }), in(func(c *open.Config) { c.Endpoint = "https://s3.example" }), true},
		{"a prefix and none", goodS3(), in(func(c *open.Config) { c.Prefix = "p" }), true},
		{"a prefix in another", in(func(c *open.Config) { c.Prefix = "p/" }), in(func(c *open.Config) { c.Prefix = "p/q" }), true},
		{"a prefix beside another", in(func(c *open.Config) { c.Prefix = "p" }), in(func(c *open.Config) { c.Prefix = "pq" }), false},
		{"another bucket", goodS3(), in(func(c *open.Config) { c.Bucket = "other" }), false},
		{"another service", goodS3(), in(func(c *open.Config) { c.Endpoint = "http://127.0.0.1:9001" }), false},
		{"a folder", goodS3(), local, false},
		{"the same folder", local, open.Config{Type: "local", Path: "/a b/"}, true},
		{"another folder", local, open.Config{Type: "local", Path: "/a c"}, false},
		{"a folder in another", local, open.Config{Type: "local", Path: "/a b/c/d"}, true},
		{"a folder beside one that begins so", local, open.Config{Type: "local", Path: "/a bc"}, false},
		{"all folders", local, open.Config{Type: "local", Path: "/"}, true},
	} {
		if c.a.Overlaps(c.b) != c.want || c.b.Overlaps(c.a) != c.want {
			t.Errorf("%s: %q and %q, want %t", c.name, c.a.Place(), c.b.Place(), c.want)
		}
		if strings.Contains(c.a.Place()+c.b.Place(), "secret") {
			t.Errorf("%s: a place holds a secret", c.name)
		}
	}
}
