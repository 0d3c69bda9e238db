package main

import (
	"io"
	"slices"
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	all := []string{"a", "b", "c"}
	self := func(s string) string { return s }
	for list, want := range map[string][]string{"": all, "c,a": {"a", "c"}, " b ": {"b"}} {
		got, err := choose(list, all, self)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", list, got, err)
		}
	}
	if _, err := choose("a,d", all, self); err == nil || !strings.Contains(err.Error(), `"d" is none of a, b, c`) {
		t.Errorf("an unknown name: %v", err)
	}
}

func TestRunRefuses(t *testing.T) {
	for _, args := range [][]string{{"-rounds", "0"}, {"put-1g"}, {"-work", "nothing"}, {"-peers", "nobody"}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
}
