package daemon

import (
	"log/slog"

	"github.com/osproxy/osproxy/daemon/intake"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/upload"
)

// importing makes who does imports.
func (c *Config) importing(in *Installation, uploads *upload.Service, minter *meta.Minter, committed func(), log *slog.Logger) *intake.Worker {
	folders := map[string]string{}
	for name, st := range c.Stores {
		if st.Type == "local" {
			folders[name] = st.Path
		}
	}
	return intake.New(intake.Config{
		Meta: in.DB, Uploads: uploads, Minter: minter, Stores: in.Stores, Folders: folders, Data: c.Data, Committed: committed, Logger: log,
	})
}
