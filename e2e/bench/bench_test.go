package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

// named is a system of which nothing but the name is asked.
type named struct {
	system
	title string
}

func (n named) name() string { return n.title }

func benchOf(rounds int, names ...string) *bench {
	b := &bench{lab: &lab{rounds: rounds, progress: io.Discard}, table: &table{}}
	for _, n := range names {
		b.systems = append(b.systems, named{title: n})
	}
	return b
}

func TestRoundsTurnTheOrderAndWarmUp(t *testing.T) {
	b := benchOf(2, "ours", "a", "b")
	var did []string
	err := b.rounds(t.Context(), func(int) error { did = append(did, "|"); return nil }, func(s system, round int) error {
		if b.table.warming != (round == 0) {
			t.Errorf("round %d counts: %v", round, !b.table.warming)
		}
		did = append(did, s.name())
		return nil
	})
	if got, want := strings.Join(did, " "), "| ours a b | a b ours | b ours a"; err != nil || got != want {
		t.Errorf("%s, want %s; %v", got, want, err)
	}
}

func TestRoundsLeaveOutAPeerThatFails(t *testing.T) {
	b := benchOf(2, "ours", "a", "b")
	var did []string
	err := b.rounds(t.Context(), nil, func(s system, round int) error {
		did = append(did, s.name())
		if s.name() == "a" && round == 1 {
			return errors.New("answered 500")
		}
		return nil
	})
	if want := []string{"ours", "a", "b", "a", "b", "ours", "ours", "b"}; err != nil || !slices.Equal(did, want) {
		t.Errorf("%v, want %v; %v", did, want, err)
	}
	if !slices.Equal(b.table.failures, []string{"a could not do it: answered 500"}) {
		t.Error(b.table.failures)
	}
}

func TestRoundsEndWhenOursFailsOrOnAnInterrupt(t *testing.T) {
	bad := errors.New("bad")
	err := benchOf(2, "ours", "a").rounds(t.Context(), nil, func(s system, _ int) error {
		if s.name() == "ours" {
			return bad
		}
		return nil
	})
	if !errors.Is(err, bad) {
		t.Errorf("ours failed: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = benchOf(2, "ours", "a").rounds(ctx, nil, func(s system, _ int) error {
		if s.name() == "a" {
			cancel()
		}
		return ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}
