package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/daemon"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/open"
)

func newStore(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "store",
		Short: "Try a configured store",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return usageError{errors.New("store: say test NAME")} },
	}
	cmd.AddCommand(newStoreTest(e))
	return cmd
}

type storeTestOptions struct {
	config *configFlags
	json   bool
}

func newStoreTest(e *env) *cobra.Command {
	o := &storeTestOptions{}
	cmd := &cobra.Command{
		Use:   "test NAME",
		Short: "Try whether a configured store does all that ospd needs",
		Long: "Try whether a configured store does all that ospd needs: the suite that defines\n" +
			"a store runs on the real one. It works in a place of its own, below the store's\n" +
			"prefix or beside its folder, touches nothing else, and removes what it made. The\n" +
			"daemon may run meanwhile. Some hundred MiB are written and read, in several\n" +
			"thousand requests.\n\n" +
			"Exit: 0 the store does all of it, 1 interrupted, 2 there is no such store, 4 it\n" +
			"does not do all, cannot be reached, or something was left in it.",
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.ExactArgs(1)(cmd, args); err != nil {
				return usageError{err}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runStoreTest(cmd.Context(), e, o, args[0]) },
	}
	o.config = addConfigFlags(cmd)
	cmd.Flags().BoolVar(&o.json, "json", false, "print a line of JSON for each case, and a summary")
	return cmd
}

func runStoreTest(ctx context.Context, e *env, o *storeTestOptions, name string) error {
	cfg, err := o.config.own(e)
	if err != nil {
		return err
	}
	configured, ok := cfg.Stores[name]
	if !ok {
		names := strings.Join(slices.Sorted(maps.Keys(cfg.Stores)), ", ")
		return usageError{fmt.Errorf("there is no store %q in the configuration; there are %s", name, names)}
	}
	ctx, stop := untilSignal(ctx, e.stderr)
	defer stop()
	atStore := func(err error) error { return &daemon.Error{Stage: daemon.StageStore, Err: err} }
	if err := checkStore(ctx, name, configured); err != nil {
		return atStore(withAdvice(err, err))
	}
	tr, err := newTrial(ctx, name, configured, newTrialReport(e.stdout, o.json))
	if err != nil {
		return atStore(err)
	}
	if err = tr.run(); err != nil && ctx.Err() == nil {
		return atStore(err)
	}
	return err
}

// checkStore makes sure that the store is there before much is asked of it.
func checkStore(ctx context.Context, name string, c open.Config) error {
	b, err := open.Backend(ctx, c)
	if err != nil {
		return fmt.Errorf("store %q: %w", name, err)
	}
	s := store.New(name, b, store.Options{})
	return errors.Join(s.Check(ctx), s.Close())
}

// withAdvice adds to err what to do about those among causes that are common.
func withAdvice(err error, causes ...error) error {
	var lines []string
	for _, cause := range causes {
		if line := advice(cause); line != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return err
	}
	return fmt.Errorf("%w\n%s", err, strings.Join(lines, "\n"))
}

// advice says what to do about an error that a storage gives where it, its
// configuration or its credentials are not right.
func advice(err error) string {
	switch {
	case errors.Is(err, context.Canceled):
		return ""
	case errors.Is(err, store.ErrDenied):
		return "access is denied: check the key and its secret, and that it may list the bucket, put, get and delete objects, and begin, list and abort multipart uploads"
	case errors.Is(err, store.ErrNoBucket):
		return "there is no such bucket: check its name and the endpoint, or make it; ospd makes none"
	case errors.Is(err, store.ErrRegion):
		return "the bucket is in another region: set region to the one it is in"
	case errors.Is(err, store.ErrClock):
		return "the clocks differ: set that of this machine right; what is signed is taken for some minutes only"
	case errors.Is(err, store.ErrUnsupported):
		return "the storage lacks what ospd needs: check that the endpoint is that of the storage itself, and the version of its software"
	case errors.Is(err, store.ErrFull):
		return "no space is left: make room, or raise the quota"
	}
	if _, ok := errors.AsType[*store.BusyError](err); ok {
		return "the storage asked for patience: try again when less is asked of it"
	}
	return ""
}
