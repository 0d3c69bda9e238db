package open_test

import (
	"strings"
	"testing"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/open"
)

func TestCOS(t *testing.T) {
	good := open.Config{
		Type: "cos", URL: "https://files-1250000000.cos.ap-nanjing.myqcloud.com", SecretID: "AKIDexample", SecretKey: store.NewSecret("very secret"),
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
		"url: must be a bucket's":     func(c *open.Config) { c.URL = "files-1250000000.cos.ap-nanjing.myqcloud.com" },
		"url: ":                       func(c *open.Config) { c.URL = "" },
		"prefix: ":                    func(c *open.Config) { c.Prefix = "a//b" },
		"secret_id: is missing":       func(c *open.Config) { c.SecretID = "" },
		"secret_key: is missing":      func(c *open.Config) { c.SecretKey = store.Secret{} },
		"secret_key: has spaces":      func(c *open.Config) { c.SecretKey = store.NewSecret("very secret\n") },
		"secret_id: has spaces":       func(c *open.Config) { c.SecretID += " " },
		"bucket: means nothing":       func(c *open.Config) { c.Bucket = "files" },
		"region: means nothing for a": func(c *open.Config) { c.Region = "ap-nanjing" },
	} {
		c := good
		change(&c)
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "very secret") {
			t.Errorf("want %q: %v", says, err)
		}
	}
	same, below, broken := good, good, good
	same.URL = "http://FILES-1250000000.cos.ap-nanjing.myqcloud.com/"
	below.Prefix = "p"
	broken.URL = "://"
	if good.Place() != same.Place() || good.Place() == below.Place() || good.Place() == broken.Place() || strings.Contains(good.Place(), "secret") {
		t.Errorf("places %q, %q, %q", good.Place(), same.Place(), below.Place())
	}
	elsewhere := good
	elsewhere.URL = "https://other-1250000000.cos.ap-nanjing.myqcloud.com"
	if !good.Overlaps(same) || !good.Overlaps(below) || good.Overlaps(elsewhere) {
		t.Error("stores overlap where they lie in one another, and nowhere else")
	}
}
