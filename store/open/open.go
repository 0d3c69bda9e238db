// Package open makes the backend a configuration names. It is the one place
// that knows all of them.
package open

import (
	"context"
	"fmt"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/local"
)

// Config describes one store of the configuration.
type Config struct {
	// Type is the storage technology; "local" is a folder of this machine.
	Type string
	// Path is the folder of a local store.
	Path string
}

// Backend makes the backend c describes. It changes nothing in the storage:
// even a local store's folder is made only when the store is marked.
func Backend(ctx context.Context, c Config) (store.Backend, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	switch c.Type {
	case "local":
		b, err := local.New(local.Config{Path: c.Path})
		if err != nil {
			return nil, err
		}
		return b, nil
	case "":
		return nil, fmt.Errorf("the store has no type; known types: local")
	default:
		return nil, fmt.Errorf("unknown store type %q; known types: local", c.Type)
	}
}
