package api

import (
	"net/http"
	"slices"

	"github.com/osproxy/osproxy/protocol"
)

// endpoints is what this server serves of protocol.Routes, and what each takes.
func (s *Server) endpoints() map[protocol.RouteName]endpoint {
	page := []string{"limit", "cursor"}
	content := []string{"disposition"}
	return map[protocol.RouteName]endpoint{
		protocol.RouteCapabilities: {serve: (*call).capabilities},
		protocol.RouteHealthz:      {serve: (*call).healthz, health: true},
		protocol.RouteReadyz:       {serve: (*call).readyz, health: true},
		protocol.RouteOpenAPI:      {serve: (*call).openAPI},
		protocol.RouteBeginUpload:  {serve: (*call).beginUpload, handed: true, body: bodyJSON},
		protocol.RouteProbe:        {serve: (*call).probe, body: bodyJSON},
		protocol.RouteListUploads:  {serve: (*call).listUploads, query: page},
		protocol.RouteGetUpload:    {serve: (*call).getUpload, handed: true},
		protocol.RouteAbortUpload:  {serve: (*call).abortUpload, handed: true},
		protocol.RoutePutPart:      {serve: (*call).putPart, handed: true, body: bodyBytes},
		protocol.RouteCommit:       {serve: (*call).commit, handed: true, body: bodyJSON},
		protocol.RouteClaim:        {serve: (*call).claim, handed: true, body: bodyJSON},
		protocol.RoutePutFile:      {serve: (*call).putFile, handed: true, body: bodyBytes, most: s.cfg.Capabilities.OneShotMax, query: []string{"name", "expires_at", "meta."}},
		protocol.RouteListFiles:    {serve: (*call).listFiles, query: []string{"limit", "cursor", "name", "prefix", "digest"}},
		protocol.RouteGetFile:      {serve: (*call).getFile},
		protocol.RoutePatchFile:    {serve: (*call).patchFile, body: bodyJSON},
		protocol.RouteDeleteFile:   {serve: (*call).deleteFile},
		protocol.RouteGetContent:   {serve: (*call).getContent, handed: true, query: content},
		protocol.RouteHeadContent:  {serve: (*call).getContent, handed: true, query: content},
		protocol.RouteGetBlocks:    {serve: (*call).getBlocks},
		protocol.RouteListTokens:   {serve: (*call).listTokens, query: []string{"owner"}},
		protocol.RouteCreateToken:  {serve: (*call).createToken, body: bodyJSON},
		protocol.RouteRevokeToken:  {serve: (*call).revokeToken},
		protocol.RouteListJobs:     {serve: (*call).listJobs, query: []string{"limit", "cursor", "state", "kind"}},
		protocol.RouteCreateJob:    {serve: (*call).createJob, handed: true, body: bodyJSON},
		protocol.RouteGetJob:       {serve: (*call).getJob},
		protocol.RouteRetryJob:     {serve: (*call).retryJob},
		protocol.RouteCancelJob:    {serve: (*call).cancelJob},

		protocol.RouteListWebhooks:  {serve: (*call).listWebhooks},
		protocol.RouteCreateWebhook: {serve: (*call).createWebhook, body: bodyJSON},
		protocol.RouteGetWebhook:    {serve: (*call).getWebhook},
		protocol.RouteRemoveWebhook: {serve: (*call).removeWebhook},
		protocol.RouteTestWebhook:   {serve: (*call).testWebhook},
		protocol.RouteReplayWebhook: {serve: (*call).replayWebhook},

		protocol.RouteGetManifest: {serve: (*call).getManifest, query: []string{"limit", "cursor"}},

		protocol.RouteListStores: {serve: (*call).listStores},
		protocol.RouteListNodes:  {serve: (*call).listNodes},
		protocol.RoutePatchNode:  {serve: (*call).patchNode, body: bodyJSON},

		protocol.RouteCreateLinks: {serve: (*call).createLinks, body: bodyJSON},
		protocol.RouteRevokeLinks: {serve: (*call).revokeLinks, query: []string{"uid", "all"}},
		protocol.RouteGetLink:     {serve: (*call).getLink, handed: true},
		protocol.RoutePutLink:     {serve: (*call).putLink, handed: true, body: bodyBytes},
	}
}

func (c *call) capabilities() error {
	open, err := c.srv.cfg.Tokens.Open(c.ctx)
	if err != nil {
		return err
	}
	caps := c.srv.cfg.Capabilities
	if !open {
		caps.Features = append(slices.Clone(caps.Features), protocol.FeatureTokens)
	}
	c.writeJSON(http.StatusOK, caps)
	return nil
}

// health is the answer of the health routes.
type health struct {
	Status  string   `json:"status"`
	Reasons []string `json:"reasons,omitempty"`
	Notes   []string `json:"notes,omitempty"`
}

// healthz says that the process answers, and nothing else: a supervisor that
// restarts on it must not restart for a database that is away.
func (c *call) healthz() error {
	c.writeJSON(http.StatusOK, health{Status: "ok"})
	return nil
}

// readyz says whether requests should be sent here.
func (c *call) readyz() error {
	reasons, notes := c.srv.cfg.Ready(c.ctx), c.srv.cfg.Notes()
	if c.srv.active.isDraining() {
		reasons = append(reasons, "draining")
	}
	if len(reasons) > 0 {
		c.http.Response.Header.Set("Retry-After", "2")
		c.writeJSON(http.StatusServiceUnavailable, health{Status: "not ready", Reasons: reasons, Notes: notes})
		return nil
	}
	c.writeJSON(http.StatusOK, health{Status: "ok", Notes: notes})
	return nil
}
