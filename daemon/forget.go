package daemon

import (
	"context"
	"fmt"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// forgetPage is how many rows one transaction forgets.
const forgetPage = 1000

// forget gives up the objects of a store that is gone for good, and counts them.
func (in *Installation) forget(ctx context.Context, name string) (objects int64, err error) {
	known, err := in.DB.KnownStores(ctx)
	if err != nil {
		return 0, at(StageDatabase, err)
	}
	use, err := in.DB.StoreUse(ctx, name)
	if err != nil {
		return 0, at(StageDatabase, err)
	}
	// One that was always away has rows and is not known.
	if _, ok := known[name]; !ok && use == meta.StoreUnused {
		return 0, at(StageConfig, fmt.Errorf("this installation knows no store %q; nothing was done", name))
	}
	for _, doom := range []func(context.Context, int) (int, error){in.DB.DoomOffered, in.DB.DoomOrphans} {
		for n := 1; n > 0; {
			if n, err = doom(ctx, forgetPage); err != nil {
				return 0, at(StageDatabase, err)
			}
		}
	}
	for more := true; more; {
		c, goesOn, err := in.DB.ForgetStore(ctx, name, forgetPage)
		if protocol.KindOf(err) == protocol.KindConflict {
			return objects, at(StageStore, err)
		}
		if err != nil {
			return objects, at(StageDatabase, err)
		}
		objects, more = objects+c.Blobs, goesOn
	}
	return objects, nil
}
