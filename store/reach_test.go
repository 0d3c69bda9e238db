package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
)

// writing counts what may write to a storage: Check tries the mark again, and
// asks by an upload what the service can do.
type writing struct {
	*mem.Backend
	broken error // what reading the mark ends with
	writes int
}

func (w *writing) Mark(ctx context.Context) (string, error) {
	if w.broken != nil {
		return "", w.broken
	}
	return w.Backend.Mark(ctx)
}

func (w *writing) Check(ctx context.Context) error {
	w.writes++
	return w.Backend.Check(ctx)
}

func (w *writing) SetMark(ctx context.Context, mark string) error {
	w.writes++
	return w.Backend.SetMark(ctx, mark)
}

// Nothing is written to a storage before its mark was read and found to be ours,
// or to be missing where it may be.
func TestNothingIsWrittenBeforeTheMarkIsJudged(t *testing.T) {
	broken := errors.New("no route")
	for name, c := range map[string]struct {
		mark   string
		known  bool
		broken error
		want   error
		writes int
	}{
		"new":              {"", false, nil, nil, 2},
		"ours":             {"me s", true, nil, nil, 1},
		"without a name":   {"me", true, nil, nil, 2},
		"another's":        {"you s", false, nil, store.ErrForeign, 0},
		"another's by now": {"you s", true, nil, store.ErrForeign, 0},
		"another store":    {"me other", true, nil, store.ErrForeign, 0},
		"it lost its mark": {"", true, nil, store.ErrUnmarked, 0},
		"not readable":     {"me s", true, broken, broken, 0},
		"and not known":    {"", false, broken, broken, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := &writing{mem.New(), nil, 0}
			if c.mark != "" {
				if err := w.Backend.SetMark(t.Context(), c.mark); err != nil {
					t.Fatal(err)
				}
			}
			w.broken = c.broken
			err := store.New("s", w, store.Options{Attempts: 1}).Reach(t.Context(), "me", c.known)
			if !errors.Is(err, c.want) || w.writes != c.writes {
				t.Errorf("%v, and %d writes instead of %d", err, w.writes, c.writes)
			}
		})
	}
}
