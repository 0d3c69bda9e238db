package oss_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/osproxy/osproxy/store"
)

// listing answers with pages of names, by what they are asked to come after.
func listing(names []string, size int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		var rest []string
		for _, n := range names {
			if n > q.Get("start-after") {
				rest = append(rest, n)
			}
		}
		fmt.Fprintf(w, "<ListBucketResult><IsTruncated>%t</IsTruncated><NextContinuationToken>a+b</NextContinuationToken>", len(rest) > size)
		for _, n := range rest[:min(size, len(rest))] {
			fmt.Fprintf(w, "<Contents><Key>%s</Key><Size>1</Size><ETag>\"e\"</ETag><LastModified>2026-11-28T10:00:00.000Z</LastModified></Contents>", url.QueryEscape(n))
		}
		fmt.Fprint(w, "</ListBucketResult>")
	}
}

func TestListingsGoOnAfterTheLastName(t *testing.T) {
	names := []string{string(key), string(other), "OSPD-STORE", "a b", "a%2Fb", "a+b", "é"}
	slices.Sort(names)
	s := serve(t, listing(names, 2))
	var keys []store.Key
	for i, err := range s.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, i.Key)
	}
	if !slices.Equal(keys, []store.Key{key, other}) {
		t.Errorf("list: %q", keys)
	}
	var found []string
	for f, err := range s.Browse(t.Context(), "", "") {
		if err != nil || f.Tag != "e" {
			t.Fatal(f, err)
		}
		found = append(found, f.Name)
	}
	if !slices.Equal(found, []string{"a b", "a%2Fb", "a+b", "é"}) {
		t.Errorf("browse: %q", found)
	}
}

func TestListingsThatGoNowhereEnd(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>")
	})
	if err := walked(s.List(t.Context(), "", "")); err == nil {
		t.Error("a listing without an end ended well")
	}
	s = serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated></ListMultipartUploadsResult>")
	})
	if err := walked(s.Unfinished(t.Context())); err == nil {
		t.Error("a listing of uploads without an end ended well")
	}
	s = serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			failing(http.StatusNotFound, "NoSuchKey", "")(w, r)
			return
		}
		fmt.Fprint(w, "<ListPartsResult><IsTruncated>true</IsTruncated></ListPartsResult>")
	})
	if _, err := s.Compose(t.Context(), key, "id", nil); err == nil {
		t.Error("a listing of parts without an end ended well")
	}
}
