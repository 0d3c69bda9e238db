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
		Meta: in.DB, Uploads: uploads, Minter: minter, Stores: in.Stores, Folders: folders, Others: c.others(), Data: c.Data, Node: c.nodeOf(in), Peers: c.joins, Committed: committed, Logger: log,
	})
}

// others says, by store, what begins the names of other stores' objects in its
// bucket.
func (c *Config) others() map[string][]string {
	list := map[string][]string{}
	for name, st := range c.Stores {
		for other, its := range c.Stores {
			if prefix, ok := st.Shares(its); ok && other != name {
				list[name] = append(list[name], prefix)
			}
		}
	}
	return list
}
