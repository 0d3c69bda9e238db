package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// listing is a daemon with count files, newest first, and what it was asked.
func listing(t *testing.T, count int, asked *[]string) string {
	at := protocol.TimeOf(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		*asked = append(*asked, r.URL.RawQuery)
		limit, _ := strconv.Atoi(q.Get("limit"))
		from, _ := strconv.Atoi(q.Get("cursor"))
		var list protocol.FileList
		for i := from; i < min(from+limit, count); i++ {
			list.Files = append(list.Files, protocol.File{UID: protocol.UID(9000 - i), Owner: protocol.OwnerLocal, Name: fmt.Sprintf("f%d\x1b[2J\tx", i),
				Size: int64(i), ETag: `"x"`, CreatedAt: at, CommittedAt: at})
		}
		if from+limit < count {
			next := strconv.Itoa(from + limit)
			list.Next = &next
		}
		_ = json.NewEncoder(w).Encode(list)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestList(t *testing.T) {
	tests := []struct {
		args  string
		count int
		lines int
		asked []string
	}{
		{"", 0, 0, []string{"limit=1000"}},
		{"", 2500, 2500, []string{"limit=1000", "cursor=1000&limit=1000", "cursor=2000&limit=1000"}},
		{"--limit 3", 2500, 3, []string{"limit=3"}},
		{"--limit 1001", 2500, 1001, []string{"limit=1000", "cursor=1000&limit=1"}},
		{"--limit 9", 4, 4, []string{"limit=9"}},
		{"a/b --json", 2, 2, []string{"limit=1000&prefix=a%2Fb"}},
	}
	for _, tt := range tests {
		t.Run(tt.args+" of "+strconv.Itoa(tt.count), func(t *testing.T) {
			m := newMachine(t)
			var asked []string
			out := m.is(t, 0, "", words("ls "+tt.args+" --server "+listing(t, tt.count, &asked)))
			if got := strings.Count(out, "\n"); got != tt.lines || strings.Join(asked, " ") != strings.Join(tt.asked, " ") {
				t.Errorf("%d lines after %q, want %d after %q", got, asked, tt.lines, tt.asked)
			}
		})
	}
}

func TestListLine(t *testing.T) {
	m := newMachine(t)
	var asked []string
	url := listing(t, 1, &asked)
	if out, want := m.is(t, 0, "", words("ls --server "+url)), "9000\t0\t2026-11-22T10:00:00.000Z\tf0\\x1b[2J\\tx\n"; out != want {
		t.Errorf("printed %q, want %q", out, want)
	}
	if out := m.is(t, 0, "", words("ls -q --server "+url)); out != "9000\n" {
		t.Errorf("printed %q", out)
	}
	var f protocol.File
	if err := json.Unmarshal([]byte(m.is(t, 0, "", words("ls --json --server "+url))), &f); err != nil || f.UID != 9000 || f.Name != "f0\x1b[2J\tx" {
		t.Errorf("%+v, %v", f, err)
	}
	if out := m.is(t, 2, "", words("ls a b --json --server "+url)); out != "" {
		t.Errorf("printed %q although there is no summary", out)
	}
}
