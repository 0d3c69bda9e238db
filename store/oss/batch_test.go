package oss_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/store"
)

// TestDeletingManyTellsOfEach: the SDK gives the names that were deleted, and no
// word of the others.
func TestDeletingManyTellsOfEach(t *testing.T) {
	third := store.Key("00000001/2123456789abcdef0123456789abcdef")
	keys := []store.Key{key, other, third}
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "<DeleteResult><EncodingType>url</EncodingType><Deleted><Key>%s</Key></Deleted><Error><Key>%s</Key><Code>AccessDenied</Code></Error></DeleteResult>",
			strings.Replace(string(key), "/", "%2F", 1), other)
	})
	told := map[store.Key]error{}
	for k, err := range s.DeleteAll(t.Context(), keys) {
		told[k] = err
	}
	if len(told) != 2 || told[other] == nil || told[third] == nil {
		t.Errorf("told of %v", told)
	}
	if n := len(s.requests()); n != 1 {
		t.Errorf("%d requests", n)
	}
	for what, answer := range map[string]http.HandlerFunc{
		"an answer that breaks off": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, "<DeleteResult><Deleted><Key>%s</Key></Deleted><Del", key)
		},
		"an empty answer": func(http.ResponseWriter, *http.Request) {},
		"a refusal":       failing(http.StatusForbidden, "AccessDenied", ""),
	} {
		s := serve(t, answer)
		n := 0
		for _, err := range s.DeleteAll(t.Context(), keys) {
			if what == "a refusal" && !errors.Is(err, store.ErrDenied) {
				t.Errorf("%s: %v", what, err)
			}
			n++
		}
		if n != len(keys) {
			t.Errorf("%s: told of %d", what, n)
		}
	}
}
