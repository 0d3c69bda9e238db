package cos_test

import (
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/store"
)

// TestDeletingManyTellsOfEach: the SDK takes an answer for a success that tells
// of failures, is empty, or says nothing of an object.
func TestDeletingManyTellsOfEach(t *testing.T) {
	third := store.Key("00000001/2123456789abcdef0123456789abcdef")
	fourth := store.Key("00000001/3123456789abcdef0123456789abcdef")
	keys := []store.Key{key, other, third, fourth}
	entry := func(k store.Key, code string) string {
		if code == "" {
			return fmt.Sprintf("<Deleted><Key>p/%s</Key></Deleted>", k)
		}
		return fmt.Sprintf("<Error><Key>p/%s</Key><Code>%s</Code><Message>m</Message></Error>", k, code)
	}
	document := func(entries ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, "<DeleteResult>%s</DeleteResult>", strings.Join(entries, ""))
		}
	}
	var none *store.BusyError
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		told   map[store.Key]error // nil: an error of whatever meaning
	}{
		{"all are gone", document(entry(key, ""), entry(other, ""), entry(third, "NoSuchKey"), entry(fourth, "")), map[store.Key]error{}},
		{
			"two failed, nothing is said of one", document(entry(key, ""), entry(other, "AccessDenied"), entry(third, "InternalError")),
			map[store.Key]error{other: store.ErrDenied, third: nil, fourth: nil},
		},
		{
			"one is said to be both", document(entry(key, ""), entry(other, ""), entry(third, ""), entry(fourth, ""), entry(other, "InternalError")),
			map[store.Key]error{other: nil},
		},
		{"an empty answer", func(http.ResponseWriter, *http.Request) {}, map[store.Key]error{key: nil, other: nil, third: nil, fourth: nil}},
		{
			"an answer that breaks off", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "<DeleteResult>%s<Del", entry(key, "")) },
			map[store.Key]error{key: nil, other: nil, third: nil, fourth: nil},
		},
		{
			"a failure with 200", failing(http.StatusOK, "InternalError", "m"),
			map[store.Key]error{key: nil, other: nil, third: nil, fourth: nil},
		},
		{
			"a refusal", failing(http.StatusForbidden, "AccessDenied", "m"),
			map[store.Key]error{key: store.ErrDenied, other: store.ErrDenied, third: store.ErrDenied, fourth: store.ErrDenied},
		},
	} {
		s := serve(t, c.answer)
		told := map[store.Key]error{}
		for k, err := range s.DeleteAll(t.Context(), keys) {
			told[k] = err
			if want := c.told[k]; want != nil {
				wantErr(t, c.name, err, want)
			} else if err == nil || errors.Is(err, store.ErrNotFound) || errors.As(err, &none) || !store.MayPass(err) {
				t.Errorf("%s: %s: %v", c.name, k, err)
			}
		}
		for k := range c.told {
			if told[k] == nil {
				t.Errorf("%s: %s is taken for deleted", c.name, k)
			}
		}
		if len(told) != len(c.told) || len(s.requests()) != 1 {
			t.Errorf("%s: told of %v after %v", c.name, told, s.requests())
		}
	}
	s := serve(t, document(entry(key, "SlowDown"), entry(other, ""), entry(third, ""), entry(fourth, "")))
	var busy *store.BusyError
	if err := walked(s.DeleteAll(t.Context(), keys)); !errors.As(err, &busy) {
		t.Errorf("one is asked for too fast: %v", err)
	}
}

// TestDeletingManyAsks: with a checksum, at most 1000 names a request, and one by
// one where the name is not ours.
func TestDeletingManyAsks(t *testing.T) {
	sizes := make(chan int, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodDelete {
			w.WriteHeader(http.StatusNoContent)
			sizes <- -1
			return
		}
		sum := md5.Sum(body)
		if r.Method != http.MethodPost || r.URL.RawQuery != "delete" || r.Header.Get("Content-MD5") != base64.StdEncoding.EncodeToString(sum[:]) {
			t.Errorf("%s %s, %v", r.Method, r.URL, r.Header)
		}
		sizes <- strings.Count(string(body), "<Object>")
		fmt.Fprint(w, "<DeleteResult>")
		for name := range strings.SplitSeq(string(body), "<Key>") {
			if name, _, ok := strings.Cut(name, "</Key>"); ok {
				fmt.Fprintf(w, "<Deleted><Key>%s</Key></Deleted>", name)
			}
		}
		fmt.Fprint(w, "</DeleteResult>")
	}))
	defer srv.Close()
	b := backend(t, srv.URL)
	keys := []store.Key{store.ForeignKey("some\x01where/else")}
	for range 1001 {
		keys = append(keys, store.NewKey("00000001"))
	}
	if err := errors.Join(walked(b.DeleteAll(t.Context(), keys)), b.Close()); err != nil {
		t.Error(err)
	}
	close(sizes)
	var got []int
	for n := range sizes {
		got = append(got, n)
	}
	if fmt.Sprint(got) != "[-1 1000 1]" {
		t.Errorf("asked for %v", got)
	}
}
