package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

func TestFold(t *testing.T) {
	tests := []struct {
		codes []int
		want  int
	}{
		{nil, 0},
		{[]int{0}, 0},
		{[]int{0, 0}, 0},
		{[]int{4}, 4},
		{[]int{4, 4, 4}, 4},
		{[]int{4, 5}, 3},
		{[]int{0, 4}, 3},
		{[]int{4, 0}, 3},
		{[]int{0, 130}, 130},
		{[]int{4, 0, 143}, 143},
		{[]int{5, 124}, 124},
		{[]int{124, 130}, 130},
	}
	for _, tt := range tests {
		if got := fold(tt.codes); got != tt.want {
			t.Errorf("fold(%v) = %d, want %d", tt.codes, got, tt.want)
		}
	}
}

func TestExitOf(t *testing.T) {
	tests := []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("x"), 1},
		{protocol.Errorf(protocol.KindNotFound, "x"), 4},
		{fmt.Errorf("part 3: %w", protocol.Errorf(protocol.KindDraining, "x")), 5},
		{protocol.Errorf("from_the_future", "x"), 1},
		// Its row has no exit code, but a failure must never look like success.
		{protocol.Errorf(protocol.KindClaimRefused, "x"), 1},
	}
	for _, tt := range tests {
		if got := exitOf(tt.err); got != tt.want {
			t.Errorf("exitOf(%v) = %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestEveryExitCodeHasAMeaning(t *testing.T) {
	var codes []int
	for _, m := range meanings() {
		codes = append(codes, m.code)
	}
	if !slices.IsSorted(codes) {
		t.Errorf("meanings are not in order: %v", codes)
	}
	text := exitCodesText()
	for _, row := range protocol.Kinds() {
		if row.Exit != 0 && (!slices.Contains(codes, row.Exit) || !strings.Contains(text, string(row.Kind))) {
			t.Errorf("%s (exit %d) is not explained", row.Kind, row.Exit)
		}
	}
	for line := range strings.SplitSeq(text, "\n") {
		if len(line) > 100 {
			t.Errorf("line of %d characters: %s", len(line), line)
		}
	}
}
