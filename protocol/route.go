package protocol

import (
	"strconv"
	"strings"
)

// RouteName names a route in code, logs and metrics.
type RouteName string

// The routes of version 1 and the health routes.
const (
	RouteCapabilities RouteName = "capabilities"
	RouteHealthz      RouteName = "healthz"
	RouteReadyz       RouteName = "readyz"
	RouteOpenAPI      RouteName = "openapi"
	RouteBeginUpload  RouteName = "begin_upload"
	RouteListUploads  RouteName = "list_uploads"
	RouteProbe        RouteName = "probe"
	RouteGetUpload    RouteName = "get_upload"
	RouteAbortUpload  RouteName = "abort_upload"
	RoutePutPart      RouteName = "put_part"
	RouteCommit       RouteName = "commit"
	RouteClaim        RouteName = "claim"
	RoutePutFile      RouteName = "put_file"
	RouteListFiles    RouteName = "list_files"
	RouteGetFile      RouteName = "get_file"
	RoutePatchFile    RouteName = "patch_file"
	RouteDeleteFile   RouteName = "delete_file"
	RouteGetContent   RouteName = "get_content"
	RouteHeadContent  RouteName = "head_content"
	RouteGetBlocks    RouteName = "get_blocks"
	RouteListTokens   RouteName = "list_tokens"
	RouteCreateToken  RouteName = "create_token"
	RouteRevokeToken  RouteName = "revoke_token"
	RouteListJobs     RouteName = "list_jobs"
	RouteCreateJob    RouteName = "create_job"
	RouteGetJob       RouteName = "get_job"
	RouteRetryJob     RouteName = "retry_job"
	RouteCancelJob    RouteName = "cancel_job"
	RouteGetManifest  RouteName = "get_manifest"

	RouteListWebhooks  RouteName = "list_webhooks"
	RouteCreateWebhook RouteName = "create_webhook"
	RouteGetWebhook    RouteName = "get_webhook"
	RouteRemoveWebhook RouteName = "remove_webhook"
	RouteTestWebhook   RouteName = "test_webhook"
	RouteReplayWebhook RouteName = "replay_webhook"

	RouteListStores RouteName = "list_stores"
	RouteListNodes  RouteName = "list_nodes"
	RoutePatchNode  RouteName = "patch_node"

	RouteCreateLinks RouteName = "create_links"
	RouteRevokeLinks RouteName = "revoke_links"
	RouteGetLink     RouteName = "get_link"
	RoutePutLink     RouteName = "put_link"
)

// Route is one method on one path. {uid}, {number}, {id} and {token} stand for a
// UID, a PartNumber, the id of something else and the token of a Link; a path
// segment matches whole.
type Route struct {
	Name   RouteName
	Method string
	Path   string
}

var routes = [...]Route{
	{RouteCapabilities, "GET", "/v1/capabilities"},
	{RouteHealthz, "GET", "/healthz"},
	{RouteReadyz, "GET", "/readyz"},
	{RouteOpenAPI, "GET", "/openapi.json"},
	{RouteBeginUpload, "POST", "/v1/uploads"},
	{RouteListUploads, "GET", "/v1/uploads"},
	{RouteProbe, "POST", "/v1/uploads/probe"},
	{RouteGetUpload, "GET", "/v1/uploads/{uid}"},
	{RouteAbortUpload, "DELETE", "/v1/uploads/{uid}"},
	{RoutePutPart, "PUT", "/v1/uploads/{uid}/parts/{number}"},
	{RouteCommit, "POST", "/v1/uploads/{uid}/commit"},
	{RouteClaim, "POST", "/v1/uploads/{uid}/claim"},
	{RoutePutFile, "POST", "/v1/files"},
	{RouteListFiles, "GET", "/v1/files"},
	{RouteGetFile, "GET", "/v1/files/{uid}"},
	{RoutePatchFile, "PATCH", "/v1/files/{uid}"},
	{RouteDeleteFile, "DELETE", "/v1/files/{uid}"},
	{RouteGetContent, "GET", "/v1/files/{uid}/content"},
	{RouteHeadContent, "HEAD", "/v1/files/{uid}/content"},
	{RouteGetBlocks, "GET", "/v1/files/{uid}/blocks"},
	{RouteListTokens, "GET", "/v1/tokens"},
	{RouteCreateToken, "POST", "/v1/tokens"},
	{RouteRevokeToken, "DELETE", "/v1/tokens/{id}"},
	{RouteListJobs, "GET", "/v1/jobs"},
	{RouteCreateJob, "POST", "/v1/jobs"},
	{RouteGetJob, "GET", "/v1/jobs/{id}"},
	{RouteRetryJob, "POST", "/v1/jobs/{id}/retry"},
	{RouteCancelJob, "POST", "/v1/jobs/{id}/cancel"},
	{RouteGetManifest, "GET", "/v1/jobs/{id}/manifest"},
	{RouteListWebhooks, "GET", "/v1/webhooks"},
	{RouteCreateWebhook, "POST", "/v1/webhooks"},
	{RouteGetWebhook, "GET", "/v1/webhooks/{id}"},
	{RouteRemoveWebhook, "DELETE", "/v1/webhooks/{id}"},
	{RouteTestWebhook, "POST", "/v1/webhooks/{id}/test"},
	{RouteReplayWebhook, "POST", "/v1/webhooks/{id}/replay"},
	{RouteListStores, "GET", "/v1/stores"},
	{RouteListNodes, "GET", "/v1/nodes"},
	{RoutePatchNode, "PATCH", "/v1/nodes/{id}"},
	{RouteCreateLinks, "POST", "/v1/links"},
	{RouteRevokeLinks, "DELETE", "/v1/links"},
	{RouteGetLink, "GET", "/l/{token}"},
	{RoutePutLink, "PUT", "/l/{token}"},
}

// Routes returns the table, in order. The caller must not change it.
func Routes() []Route { return routes[:] }

// RouteOf is the row of a name. A name that has none is a mistake in the
// program, and a panic.
func RouteOf(name RouteName) Route {
	for _, r := range routes {
		if r.Name == name {
			return r
		}
	}
	panic("protocol: no route is called " + string(name))
}

// Expand is the path with uid and n in their places; what has no place in it
// is not used. Paths with {id} and {token} are ExpandID's.
func (r Route) Expand(uid UID, n PartNumber) string {
	path := strings.Replace(r.Path, "{uid}", uid.String(), 1)
	return strings.Replace(path, "{number}", strconv.Itoa(int(n)), 1)
}

// ExpandID is the path with an id, or a token, in its place.
func (r Route) ExpandID(id string) string {
	return strings.NewReplacer("{id}", id, "{token}", id).Replace(r.Path)
}

// The headers of ours, and what stands in others.
const (
	// HeaderXXH3 carries the XXH3-128 of a body, 32 lower-case hex digits.
	HeaderXXH3 = "Osp-Xxh3"
	// HeaderRepeated is "true" on a commit's answer when the upload had been
	// committed before, so that a caller can tell its own commit from another
	// writer's.
	HeaderRepeated = "Osp-Repeated"
	// HeaderRequestID names a request in logs on both sides.
	HeaderRequestID = "X-Request-Id"
	// SchemeLink is the scheme of an Authorization that carries a Link's token.
	SchemeLink = "Link"
	// HeaderIdempotencyKey makes a repeated POST give the first one's answer.
	HeaderIdempotencyKey = "Idempotency-Key"
)
