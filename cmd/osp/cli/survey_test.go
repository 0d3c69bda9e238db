package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/osproxy/osproxy/client/transfer"
	"github.com/osproxy/osproxy/cmd/osp/selection"
	"github.com/osproxy/osproxy/protocol"
)

// surveyed runs files of these sizes through a surveyor, all there from the
// beginning, and gives how many were asked about in each request.
func surveyed(t *testing.T, s surveyor, sizes ...int64) (asked []int, got []candidate) {
	t.Helper()
	in := make(chan selection.Entry, len(sizes))
	for i, size := range sizes {
		in <- selection.Entry{Path: fmt.Sprint(i), Size: size}
	}
	close(in)
	s.survey = func(_ context.Context, paths []string) ([]*transfer.Hint, error) {
		asked = append(asked, len(paths))
		hints := make([]*transfer.Hint, len(paths))
		for i := range hints {
			hints[i] = &transfer.Hint{Maybe: paths[i] == "3"}
		}
		return hints, nil
	}
	for c := range s.run(t.Context(), in) {
		got = append(got, c)
	}
	for i, c := range got {
		if c.Path != fmt.Sprint(i) || c.hint != nil && c.hint.Maybe != (i == 3) {
			t.Errorf("file %d is %+v with %+v", i, c.Entry, c.hint)
		}
	}
	if len(got) != len(sizes) {
		t.Errorf("%d of %d files", len(got), len(sizes))
	}
	return asked, got
}

// TestSurveyor: only what is larger than one request, only where there is enough
// of it, and never more at once than the daemon answers or than is read quickly.
func TestSurveyor(t *testing.T) {
	const small, large = protocol.OneShotMax, protocol.OneShotMax + 1
	for _, tt := range []struct {
		least int
		sizes []int64
		want  []int
	}{
		{8, nil, nil},
		{8, slices.Repeat([]int64{large}, 7), nil},
		{8, slices.Repeat([]int64{large}, 8), []int{8}},
		{8, slices.Repeat([]int64{small}, 100), nil},
		{1, []int64{small, large, 0, large, small}, []int{2}},
		{1, slices.Repeat([]int64{large}, 600), []int{256, 256, 88}}, // of each 1 MiB is read, and a byte
		{8, append(slices.Repeat([]int64{small}, 5000), slices.Repeat([]int64{large}, 9)...), []int{9}},
		{1, slices.Repeat([]int64{1 << 40}, 100), []int{64, 36}}, // of each as much as of one block
	} {
		if asked, _ := surveyed(t, surveyor{least: tt.least, whole: true}, tt.sizes...); !slices.Equal(asked, tt.want) {
			t.Errorf("%d files, at least %d: asked about %v, want %v", len(tt.sizes), tt.least, asked, tt.want)
		}
	}
	_, got := surveyed(t, surveyor{least: 1}, small, large, small, large)
	if got[0].hint != nil || got[1].hint == nil || got[2].hint != nil || got[3].hint == nil {
		t.Errorf("got %+v", got)
	}
}

// TestFilesPassWithoutASurvey: those that are no files, all when asking fails,
// and all once the verb is stopped.
func TestFilesPassWithoutASurvey(t *testing.T) {
	in := make(chan selection.Entry, 3)
	in <- selection.Entry{Path: "-", Stdin: true, Size: 1 << 30}
	in <- selection.Entry{Path: "broken", Err: errors.New("broken"), Size: 1 << 30}
	in <- selection.Entry{Path: "a", Size: 1 << 30}
	close(in)
	s := surveyor{least: 1, whole: true, survey: func(_ context.Context, paths []string) ([]*transfer.Hint, error) {
		if !slices.Equal(paths, []string{"a"}) {
			t.Errorf("asked about %q", paths)
		}
		return make([]*transfer.Hint, len(paths)), errors.New("no")
	}}
	n := 0
	for c := range s.run(t.Context(), in) {
		if n++; c.hint != nil {
			t.Errorf("%s has a hint", c.Path)
		}
	}
	if n != 3 {
		t.Errorf("%d files", n)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	in = make(chan selection.Entry, 1)
	in <- selection.Entry{Path: "a", Size: 1 << 30}
	close(in)
	s.survey = func(context.Context, []string) ([]*transfer.Hint, error) { panic("asked after the stop") }
	for c := range s.run(ctx, in) {
		n += len(c.Path)
	}
	if n != 4 {
		t.Error("the file was lost")
	}
}

// TestNobodyWaitsForFilesToCome: a file that could be put is not kept back for
// a survey of others.
func TestNobodyWaitsForFilesToCome(t *testing.T) {
	in := make(chan selection.Entry)
	s := surveyor{least: 1, survey: func(_ context.Context, paths []string) ([]*transfer.Hint, error) {
		return make([]*transfer.Hint, len(paths)), nil
	}}
	out := s.run(t.Context(), in)
	for i := range 3 {
		in <- selection.Entry{Path: fmt.Sprint(i), Size: 1 << 30}
		if c := <-out; c.Path != fmt.Sprint(i) {
			t.Errorf("got %s", c.Path)
		}
	}
	close(in)
	for range out {
		t.Error("one more came")
	}
}
