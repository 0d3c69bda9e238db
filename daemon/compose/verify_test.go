package compose

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/pace"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
)

// broken gives bodies that end with an error after what they hold.
type broken struct {
	store.Backend
	holds string
	err   error
}

func (b broken) Get(context.Context, store.Key, int64, int64) (io.ReadCloser, error) {
	return io.NopCloser(io.MultiReader(strings.NewReader(b.holds), failing{b.err})), nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// What ends the reading of what was joined is told as it is, and only a body
// that ends early without a word is one that ended early.
func TestComparingTellsWhatFailed(t *testing.T) {
	refused := errors.New("refused")
	for _, c := range []struct {
		err   error
		short bool
	}{{refused, false}, {context.DeadlineExceeded, false}, {io.EOF, true}} {
		st := store.New("s", broken{mem.New(), "ab", c.err}, store.Options{Attempts: 1})
		w := &target{Worker: New(Config{Pace: pace.New(pace.Config{})}), content: meta.Content{Size: 5}, st: st, key: store.NewKey(store.DirOf(1))}
		err := w.compareRun(t.Context(), 0, make([]protocol.Block, 1), make([]byte, 16))
		if err == nil || errors.Is(err, io.ErrUnexpectedEOF) != c.short || !c.short && !errors.Is(err, c.err) {
			t.Errorf("a body that ends with %v: %v", c.err, err)
		}
	}
}
