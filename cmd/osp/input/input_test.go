package input

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestUntilDoneReadsWhatComes(t *testing.T) {
	const text = "what comes"
	for name, r := range map[string]io.Reader{
		"at once": strings.NewReader(text), "byte by byte": iotest.OneByteReader(strings.NewReader(text)), "end with the data": iotest.DataErrReader(strings.NewReader(text)),
	} {
		if got, err := io.ReadAll(UntilDone(t.Context(), r)); string(got) != text || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	broken := errors.New("broken")
	if _, err := io.ReadAll(UntilDone(t.Context(), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("an error comes as %v", err)
	}
}

func TestUntilDoneEndsWithItsContext(t *testing.T) {
	in, typist := io.Pipe()
	defer typist.Close()
	ctx, stop := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	r := UntilDone(ctx, in)
	first := make([]byte, 1)
	go func() { _, _ = typist.Write([]byte("a")) }() // read below
	if n, err := r.Read(first); n != 1 || err != nil {
		t.Errorf("first %d, %v", n, err)
	}
	stop(enough)
	for range 2 {
		if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, enough) {
			t.Errorf("then %d, %v", n, err)
		}
	}
}
