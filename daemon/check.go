package daemon

import (
	"context"
	"errors"
	"log/slog"

	"github.com/osproxy/osproxy/daemon/fsck"
)

// Check takes the data folder of a daemon that does not run and checks what is
// in it; with readData every byte. It changes nothing but what opening the
// database changes.
func Check(ctx context.Context, cfg Config, readData bool, log *slog.Logger) (_ fsck.Report, err error) {
	in, err := OpenInstallation(ctx, &cfg, false, log, unobserved)
	if err != nil {
		return fsck.Report{}, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	ctx, ended := in.within(ctx)
	r, err := fsck.Run(ctx, fsck.Config{
		Meta: in.DB, Stores: in.Stores, Elsewhere: in.othersDisk, ServerID: in.ServerID, BootID: bootID(), ReadData: readData, Grace: cfg.Grace,
	})
	return r, ended(err)
}
