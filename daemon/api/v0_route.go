package api

import (
	"net/http"
	"strings"

	"github.com/osproxy/osproxy/protocol"
)

// The API that the predecessor of this daemon had, version 0, is kept for the
// applications that speak it. Its routes, queries and answers are not those of
// v1, so it has a table of its own, outside of protocol.Routes, with one writer
// of answers (v0_answer.go), one reader of queries (v0_query.go) and its own
// guards (v0_access.go). What its handlers do is what those of v1 do, by the
// same services.
const v0Prefix = "/api/storage/v0"

// The names of v0's routes, in logs and metrics.
const (
	v0Ping         protocol.RouteName = "v0_ping"
	v0Health       protocol.RouteName = "v0_health"
	v0LinkDownload protocol.RouteName = "v0_link_download"
	v0LinkUpload   protocol.RouteName = "v0_link_upload"
	v0Download     protocol.RouteName = "v0_download"
	v0Upload       protocol.RouteName = "v0_upload"
	v0Proxy        protocol.RouteName = "v0_proxy"
	v0Multi        protocol.RouteName = "v0_upload_multi"
	v0MergeChunks  protocol.RouteName = "v0_upload_merge"
	v0CheckpointOf protocol.RouteName = "v0_checkpoint"
	v0Resume       protocol.RouteName = "v0_resume"
)

// v0Row is a route of v0: the query's parameters that it reads are those of its
// endpoint, and others are passed over.
type v0Row struct {
	name         protocol.RouteName
	method, path string
	endpoint     endpoint
	guard        guard
}

// v0Signed are the parameters that every signed request has.
func v0Signed(others ...string) []string {
	return append([]string{"uid", "date", "expire", "signature"}, others...)
}

// v0Rows is the table.
func v0Rows() []v0Row {
	everybody := guard{access: public}
	read := guard{access: byTokenOrAddress, scope: protocol.ScopeFileRead}
	write := guard{access: byTokenOrAddress, scope: protocol.ScopeFileWrite}
	links := guard{access: byTokenOrAddress, scope: protocol.ScopeLinkCreate}
	put := guard{access: bySignature, link: protocol.LinkPut}
	get := guard{access: bySignature, link: protocol.LinkGet}
	return []v0Row{
		{v0Ping, http.MethodGet, "/ping", endpoint{serve: v0Says("Test Router..."), body: bodyIgnored}, everybody},
		{v0Health, http.MethodGet, "/health", endpoint{serve: v0Says("Health..."), body: bodyIgnored}, everybody},
		{v0Resume, http.MethodPost, "/resume", endpoint{serve: (*call).v0Resume, handed: true, body: bodyJSON, chunked: maxJSON}, write},
		{v0LinkUpload, http.MethodPost, "/link/upload", endpoint{serve: (*call).v0SignUploads, body: bodyJSON, chunked: maxJSON}, links},
		{v0LinkDownload, http.MethodPost, "/link/download", endpoint{serve: (*call).v0SignDownloads, body: bodyJSON, chunked: maxJSON}, links},
		{v0Proxy, http.MethodGet, "/proxy", endpoint{serve: (*call).v0Locate, handed: true, body: bodyIgnored, query: []string{"uid"}}, read},
		{v0Upload, http.MethodPut, "/upload", endpoint{serve: (*call).v0PutFile, handed: true, body: bodyBytes, chunked: v0Held, query: v0Signed("md5")}, put},
		{v0Multi, http.MethodPut, "/upload/multi", endpoint{serve: (*call).v0PutChunk, handed: true, body: bodyBytes, chunked: v0Held, query: v0Signed("md5", "chunkNum")}, put},
		{v0MergeChunks, http.MethodPut, "/upload/merge", endpoint{serve: (*call).v0Merge, handed: true, body: bodyIgnored, query: v0Signed("md5", "num", "size")}, put},
		{v0CheckpointOf, http.MethodGet, "/checkpoint", endpoint{serve: (*call).v0Checkpoint, handed: true, body: bodyIgnored, query: []string{"uid"}}, write},
		{v0Download, http.MethodGet, "/download", endpoint{serve: (*call).v0GetFile, handed: true, body: bodyIgnored, query: v0Signed("online")}, get},
	}
}

// v0Says answers with a text.
func v0Says(text string) func(*call) error {
	return func(c *call) error {
		c.writeV0(http.StatusOK, v0OK, text)
		return nil
	}
}

func newV0Router() router {
	var r router
	for _, row := range v0Rows() {
		route := protocol.Route{Name: row.name, Method: row.method, Path: v0Prefix + row.path}
		r.routes = append(r.routes, compiled{route, strings.Split(route.Path, "/"), row.endpoint, row.guard})
	}
	return r
}

// routes is the table that the request is looked up in.
func (c *call) routes() router {
	switch {
	case c.v0 && c.door.peers:
		return c.srv.peerV0
	case c.v0:
		return c.srv.v0
	case c.door.peers:
		return c.srv.peerRouter
	}
	return c.srv.router
}

// isV0 reports whether a request target is one of v0's, so that it is answered
// as v0 answers whatever else is wrong with it.
func isV0(target string) bool {
	if _, rest, ok := strings.Cut(target, "://"); ok && !strings.HasPrefix(target, "/") {
		_, path, _ := strings.Cut(rest, "/")
		target = "/" + path
	}
	rest, ok := strings.CutPrefix(target, v0Prefix)
	return ok && (rest == "" || rest[0] == '/' || rest[0] == '?')
}
