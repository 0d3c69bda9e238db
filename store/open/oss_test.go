package open_test

import (
	"strings"
	"testing"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/open"
)

func TestOSS(t *testing.T) {
	good := open.Config{
		Type: "oss", Endpoint: "https://oss-cn-hangzhou.aliyuncs.com", Region: "cn-hangzhou", Bucket: "files",
		AccessKeyID: "LTAIexample", AccessKeySecret: store.NewSecret("very secret"),
	}
	b, err := open.Backend(t.Context(), good)
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
	for says, change := range map[string]func(*open.Config){
		"endpoint: must be":                    func(c *open.Config) { c.Endpoint = "oss-cn-hangzhou.aliyuncs.com" },
		"endpoint: must be a URL":              func(c *open.Config) { c.Endpoint = "https://oss-cn-hangzhou.aliyuncs.com/files" },
		"endpoint: ":                           func(c *open.Config) { c.Endpoint = "" },
		`region: "oss-cn-hangzhou"`:            func(c *open.Config) { c.Region = "oss-cn-hangzhou" },
		`region: ""`:                           func(c *open.Config) { c.Region = "" },
		"bucket: ":                             func(c *open.Config) { c.Bucket = "Files" },
		"prefix: ":                             func(c *open.Config) { c.Prefix = "a//b" },
		"access_key_id: is missing":            func(c *open.Config) { c.AccessKeyID = "" },
		"access_key_secret: is missing":        func(c *open.Config) { c.AccessKeySecret = store.Secret{} },
		"path_style: means nothing":            func(c *open.Config) { c.PathStyle = true },
		"secret_access_key: means nothing":     func(c *open.Config) { c.SecretAccessKey = store.NewSecret("x") },
		"path: means nothing for a store of t": func(c *open.Config) { c.Path = "/x" },
	} {
		c := good
		change(&c)
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "very secret") {
			t.Errorf("want %q: %v", says, err)
		}
	}
	same := good
	same.Endpoint, same.Prefix = "http://OSS-cn-hangzhou-internal.aliyuncs.com:80/", ""
	below := good
	below.Prefix = "p"
	if good.Place() != same.Place() || good.Place() == below.Place() || strings.Contains(good.Place(), "secret") {
		t.Errorf("places %q, %q, %q", good.Place(), same.Place(), below.Place())
	}
}

func is[T any](b store.Backend) bool {
	_, ok := b.(T)
	return ok
}
