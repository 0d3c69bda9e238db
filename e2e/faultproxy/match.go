package faultproxy

import (
	"net/http"
	"strings"
)

// Any matches every request.
func Any(*http.Request) bool { return true }

// Put matches what brings the bytes of a whole object.
func Put(r *http.Request) bool {
	return r.Method == http.MethodPut && !r.URL.Query().Has("uploadId") && !r.URL.Query().Has("partNumber") && r.ContentLength > 0
}

// Get matches what reads the bytes of an object, not listings.
func Get(r *http.Request) bool {
	q := r.URL.Query()
	return r.Method == http.MethodGet && !q.Has("list-type") && !q.Has("prefix") && !q.Has("uploads") && !q.Has("location") && !q.Has("uploadId") && ofObject(r)
}

// Begin matches the begin of a composition.
func Begin(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Has("uploads") }

// Piece matches what copies or sends one piece of a composition.
func Piece(r *http.Request) bool {
	return r.Method == http.MethodPut && r.URL.Query().Has("uploadId")
}

// Complete matches the end of a composition.
func Complete(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
}

// Delete matches the deletion of one object.
func Delete(r *http.Request) bool {
	return r.Method == http.MethodDelete && !r.URL.Query().Has("uploadId")
}

// Head matches questions about one object.
func Head(r *http.Request) bool { return r.Method == http.MethodHead && ofObject(r) }

// ofObject reports whether the path names one of the daemon's objects, wherever
// the bucket is named.
func ofObject(r *http.Request) bool {
	name := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	return len(name) == 32
}
