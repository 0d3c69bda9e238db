package daemon

import (
	"errors"
	"fmt"

	"github.com/osproxy/osproxy/daemon/api"
)

// CORSConfig is which web pages may use the API from a browser.
type CORSConfig struct {
	// Origins are those of the pages, as browsers write them; "*" are all, for
	// signed links alone. None unless they are given.
	Origins []string `koanf:"origins"`
}

func (c CORSConfig) check() error {
	var errs []error
	for _, o := range c.Origins {
		if err := api.CheckOrigin(o); err != nil {
			errs = append(errs, fmt.Errorf("cors.origins: %w", err))
		}
	}
	return errors.Join(errs...)
}
