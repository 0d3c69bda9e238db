package open

import (
	"errors"
	"strings"

	"github.com/osproxy/osproxy/store/cos"
)

func (c Config) checkCOS() error {
	var errs []error
	if c.SecretID == "" {
		errs = append(errs, errors.New("secret_id: is missing"))
	}
	if c.SecretKey.Reveal() == "" {
		errs = append(errs, errors.New("secret_key: is missing"))
	}
	// The SDK refuses them at each request, without saying where they are set.
	if c.SecretID != strings.TrimSpace(c.SecretID) {
		errs = append(errs, errors.New("secret_id: has spaces around it"))
	}
	if s := c.SecretKey.Reveal(); s != strings.TrimSpace(s) {
		errs = append(errs, errors.New("secret_key: has spaces around it"))
	}
	_, err := cos.New(c.cos())
	return errors.Join(append(errs, err)...)
}

func (c Config) cos() cos.Config {
	return cos.Config{URL: c.URL, Prefix: c.Prefix, SecretID: c.SecretID, SecretKey: c.SecretKey}
}

// placeCOS leaves the scheme out: it does not tell one bucket from another.
func (c Config) placeCOS() string {
	host := c.URL
	if u, err := cos.ParseURL(c.URL); err == nil {
		host = u.Host
	}
	return strings.Join([]string{"cos", host, strings.Trim(c.Prefix, "/")}, " ")
}
