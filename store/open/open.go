// Package open makes the backend a configuration names. It is the one place
// that knows all of them.
package open

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/cos"
	"github.com/osproxy/osproxy/store/local"
	"github.com/osproxy/osproxy/store/object"
	"github.com/osproxy/osproxy/store/oss"
	"github.com/osproxy/osproxy/store/s3"
)

// Config describes one store of the configuration. Type says which of the
// other fields mean something; Check refuses the rest.
type Config struct {
	// Type is the storage technology.
	Type string `koanf:"type"`
	// Path is the folder of a local store.
	Path string `koanf:"path"`
	// Endpoint and Region are where an S3 or OSS service is.
	Endpoint string `koanf:"endpoint"`
	Region   string `koanf:"region"`
	Bucket   string `koanf:"bucket"`
	// Prefix begins the names of all objects that are ospd's; "" for none.
	Prefix string `koanf:"prefix"`
	// AccessKeyID with SecretAccessKey (S3) or AccessKeySecret (OSS).
	AccessKeyID     string       `koanf:"access_key_id"`
	SecretAccessKey store.Secret `koanf:"secret_access_key"`
	AccessKeySecret store.Secret `koanf:"access_key_secret"`
	// PathStyle has the bucket in the path and not in the host.
	PathStyle bool `koanf:"path_style"`
	// URL is a COS bucket's, with SecretID and SecretKey.
	URL       string       `koanf:"url"`
	SecretID  string       `koanf:"secret_id"`
	SecretKey store.Secret `koanf:"secret_key"`
}

// Types are the storage technologies that Backend knows.
func Types() []string { return []string{"local", "s3", "oss", "cos"} }

// Check reports everything that is wrong with c, each with the key it is about
// in front. It looks at the text alone.
func (c Config) Check() error {
	switch c.Type {
	case "local":
		return errors.Join(c.only("path"), c.checkPath())
	case "s3":
		return errors.Join(c.only("endpoint", "region", "bucket", "prefix", "access_key_id", "secret_access_key", "path_style"), c.checkS3())
	case "oss":
		return errors.Join(c.only("endpoint", "region", "bucket", "prefix", "access_key_id", "access_key_secret"), c.checkOSS())
	case "cos":
		return errors.Join(c.only("url", "prefix", "secret_id", "secret_key"), c.checkCOS())
	case "":
		return fmt.Errorf("type: is missing; known types: %s", strings.Join(Types(), ", "))
	}
	return fmt.Errorf("type: %q is not known; known types: %s", c.Type, strings.Join(Types(), ", "))
}

func (c Config) checkPath() error {
	if !filepath.IsAbs(c.Path) {
		return fmt.Errorf("path: %q is not an absolute path", c.Path)
	}
	return nil
}

// only refuses keys that mean nothing for the type.
func (c Config) only(keys ...string) error {
	var errs []error
	for _, s := range c.settings() {
		known := false
		for _, k := range keys {
			known = known || k == s.key
		}
		if s.given && !known {
			errs = append(errs, fmt.Errorf("%s: means nothing for a store of type %s", s.key, c.Type))
		}
	}
	return errors.Join(errs...)
}

// setting is a key of Config besides its type, and whether it was given.
type setting struct {
	key   string
	given bool
}

func (c Config) settings() []setting {
	return []setting{
		{"path", c.Path != ""}, {"endpoint", c.Endpoint != ""}, {"region", c.Region != ""}, {"bucket", c.Bucket != ""}, {"prefix", c.Prefix != ""},
		{"access_key_id", c.AccessKeyID != ""}, {"secret_access_key", c.SecretAccessKey.Reveal() != ""},
		{"access_key_secret", c.AccessKeySecret.Reveal() != ""}, {"path_style", c.PathStyle},
		{"url", c.URL != ""}, {"secret_id", c.SecretID != ""}, {"secret_key", c.SecretKey.Reveal() != ""},
	}
}

// Place is where the objects lie, with the prefix at its end. It holds no
// secret.
func (c Config) Place() string {
	switch c.Type {
	case "local":
		return "local " + filepath.Clean(c.Path)
	case "s3":
		return c.placeS3()
	case "oss":
		return c.placeOSS()
	case "cos":
		return c.placeCOS()
	}
	return c.Type
}

// Overlaps reports whether two stores would mix their objects: one's folder is
// or lies in the other's, or so do their prefixes in one bucket.
func (c Config) Overlaps(other Config) bool {
	if c.Type == "local" && other.Type == "local" {
		return holds(c.Path, other.Path) || holds(other.Path, c.Path)
	}
	prefix, ok := c.Shares(other)
	if !ok {
		return false
	}
	// Prefixes that are none were refused before.
	mine, _ := object.NewNames(strings.Trim(c.Prefix, "/"))
	its, _ := object.NewNames(prefix)
	return object.Nest(mine, its)
}

// holds reports whether a folder is root, or lies in it.
func holds(root, folder string) bool {
	rel, err := filepath.Rel(root, folder)
	return err == nil && filepath.IsLocal(rel)
}

// Shares gives what begins the names of another store's objects in the bucket of
// c, if they are in it: "" or what ends with a slash.
func (c Config) Shares(other Config) (prefix string, ok bool) {
	a, b := c.Place(), other.Place()
	i, j := strings.LastIndexByte(a, ' '), strings.LastIndexByte(b, ' ')
	if c.Type == "local" || other.Type == "local" || i < 0 || j < 0 || a[:i] != b[:j] {
		return "", false
	}
	if prefix = b[j+1:]; prefix != "" {
		prefix += "/"
	}
	return prefix, true
}

// Backend makes the backend c describes. It changes nothing in the storage:
// even a local store's folder is made only when the store is marked.
func Backend(ctx context.Context, c Config) (store.Backend, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	switch c.Type {
	case "local":
		b, err := local.New(local.Config{Path: c.Path})
		if err != nil {
			return nil, err
		}
		return b, nil
	case "s3":
		b, err := s3.New(c.s3())
		if err != nil {
			return nil, err
		}
		return b, nil
	case "oss":
		b, err := oss.New(c.oss())
		if err != nil {
			return nil, err
		}
		return b, nil
	case "cos":
		b, err := cos.New(c.cos())
		if err != nil {
			return nil, err
		}
		return b, nil
	}
	return nil, fmt.Errorf("type: %q is not known", c.Type)
}

// Below describes a store of the same kind in a folder, or with a prefix, of
// that name below c's.
func (c Config) Below(name string) Config {
	if c.Type == "local" {
		c.Path = filepath.Join(c.Path, name)
		return c
	}
	c.Prefix = strings.TrimPrefix(strings.Trim(c.Prefix, "/")+"/"+name, "/")
	return c
}
