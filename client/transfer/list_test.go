package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/osproxy/osproxy/client"
	"github.com/osproxy/osproxy/protocol"
)

// pages answers each request with the next of lists.
func pages(t *testing.T, lists ...any) *Engine {
	n := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n == len(lists) {
			t.Errorf("%s is one request too many", r.URL)
			n--
		}
		if kind, ok := lists[n].(protocol.Kind); ok {
			writeProblem(w, kind, nil)
		} else if err := json.NewEncoder(w).Encode(lists[n]); err != nil {
			t.Error(err)
		}
		n++
	}))
	t.Cleanup(srv.Close)
	c, err := client.New(client.Config{Server: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	e := New(Config{Client: c, Retries: 1})
	e.pause = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return e
}

func page(next string, ids ...protocol.UID) protocol.FileList {
	var l protocol.FileList
	for _, id := range ids {
		l.Files = append(l.Files, protocol.File{UID: id})
	}
	if next != "-" {
		l.Next = &next
	}
	return l
}

func TestFiles(t *testing.T) {
	enough := errors.New("enough")
	tests := []struct {
		name  string
		lists []any
		limit int
		want  int
		kind  protocol.Kind
	}{
		{"none", []any{page("-")}, 0, 0, ""},
		{"pages, one of them empty", []any{page("a", 9, 8), page("b"), page("-", 7)}, 0, 3, ""},
		{"limit within a page", []any{page("a", 9, 8)}, 1, 1, ""},
		{"limit at the end of a page", []any{page("a", 9, 8)}, 2, 2, ""},
		{"limit over pages", []any{page("a", 9, 8), page("b", 7, 6)}, 3, 3, ""},
		{"a failure that passes", []any{page("a", 9), protocol.KindDraining, page("-", 8)}, 0, 2, ""},
		{"a failure that stays", []any{page("a", 9), protocol.KindDraining, protocol.KindDraining}, 0, 1, protocol.KindDraining},
		{"no right", []any{protocol.KindForbidden}, 0, 0, protocol.KindForbidden},
		{"a daemon that goes round in circles", []any{page("a", 9), page("a", 9)}, 0, 2, protocol.KindInternal},
		{"a cursor that is none", []any{page("", 9)}, 0, 1, protocol.KindInternal},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := 0
			err := pages(t, tt.lists...).Files(t.Context(), client.FileQuery{}, tt.limit, func(protocol.File) error { got++; return nil })
			if got != tt.want || protocol.KindOf(err) != tt.kind {
				t.Errorf("%d files, %v; want %d, %q", got, err, tt.want, tt.kind)
			}
		})
	}
	err := pages(t, page("a", 9, 8)).Files(t.Context(), client.FileQuery{}, 0, func(protocol.File) error { return enough })
	if !errors.Is(err, enough) {
		t.Errorf("%v, want the caller's error", err)
	}
}
