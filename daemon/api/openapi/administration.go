package openapi

import "github.com/osproxy/osproxy/protocol"

func jobOperations() map[protocol.RouteName]operation {
	id := parameter{about: "Of the job.", schema: object{"type": "string", "pattern": uidPattern}}
	return map[protocol.RouteName]operation{
		protocol.RouteListJobs: {
			tag: tagJobs, summary: "List jobs, newest first",
			about:   "The owner's; with the scope admin everybody's.",
			answers: []answer{ok("A page of them.", page("jobs", "Job"))},
		},
		protocol.RouteCreateJob: {
			tag: tagJobs, summary: "Ask for a job", takes: "CreateJob", headers: []string{protocol.HeaderIdempotencyKey},
			answers: []answer{
				created("The job.", ref("Job")).at(),
				ok("One that is about the same and waits already.", ref("Job")).at(),
			},
			fails: []protocol.Kind{
				protocol.KindNotFound, protocol.KindConflict, protocol.KindIdempotencyMismatch, protocol.KindStoreUnavailable, protocol.KindStoreFull,
			},
		},
		protocol.RouteGetJob: {
			tag: tagJobs, summary: "Look at a job", id: id,
			answers: []answer{ok("The job.", ref("Job"))},
		},
		protocol.RouteRetryJob: {
			tag: tagJobs, summary: "Have a job tried again, now", id: id,
			answers: []answer{ok("The job.", ref("Job"))},
			fails:   []protocol.Kind{protocol.KindConflict, protocol.KindStoreFull},
		},
		protocol.RouteCancelJob: {
			tag: tagJobs, summary: "Cancel a job", id: id,
			about:   "One that ended stays as it is.",
			answers: []answer{ok("The job; while cancelling is true it is ending.", ref("Job"))},
			fails:   []protocol.Kind{protocol.KindStoreFull},
		},
		protocol.RouteGetManifest: {
			tag: tagJobs, summary: "Read what an import did", id: id,
			query: map[string]parameter{"limit": {about: "How many there are on a page at most.",
				schema: object{"type": "integer", "minimum": 1, "maximum": 1000, "default": 1000}}},
			answers: []answer{ok("A page of it, in order. While the import has not ended there always is a next one.", page("entries", "ManifestEntry"))},
		},
	}
}

func webhookOperations() map[protocol.RouteName]operation {
	id := parameter{about: "Of the webhook.", schema: object{"type": "string", "pattern": uidPattern}}
	return map[protocol.RouteName]operation{
		protocol.RouteListWebhooks: {
			tag: tagWebhooks, summary: "List webhooks",
			about:   "The owner's; with the scope admin everybody's.",
			answers: []answer{ok("All of them.", list("webhooks", "Webhook", nil))},
		},
		protocol.RouteCreateWebhook: {
			tag: tagWebhooks, summary: "Make a webhook", takes: "CreateWebhook",
			answers: []answer{created("The webhook, with the secret that its receiver checks signatures with.", ref("CreatedWebhook"))},
			fails:   []protocol.Kind{protocol.KindQuotaExceeded, protocol.KindStoreFull},
		},
		protocol.RouteGetWebhook: {
			tag: tagWebhooks, summary: "Look at a webhook", id: id,
			answers: []answer{ok("The webhook.", ref("Webhook"))},
		},
		protocol.RouteRemoveWebhook: {
			tag: tagWebhooks, summary: "Remove a webhook", id: id,
			answers: []answer{nothing("It is gone, and what waited for it.")},
			fails:   []protocol.Kind{protocol.KindStoreFull},
		},
		protocol.RouteTestWebhook: {
			tag: tagWebhooks, summary: "Send a webhook a message to try it", id: id,
			answers: []answer{ok("What became of the message.", ref("WebhookTest"))},
		},
		protocol.RouteReplayWebhook: {
			tag: tagWebhooks, summary: "Send a webhook again what was given up", id: id,
			answers: []answer{ok("How many events are on their way again.", ref("WebhookReplay"))},
			fails:   []protocol.Kind{protocol.KindStoreFull},
		},
	}
}

func adminOperations() map[protocol.RouteName]operation {
	return map[protocol.RouteName]operation{
		protocol.RouteListTokens: {
			tag: tagAdmin, summary: "List tokens",
			about:   "Also those that ended, by owner.",
			answers: []answer{ok("All of them.", list("tokens", "Token", nil))},
		},
		protocol.RouteCreateToken: {
			tag: tagAdmin, summary: "Make a token", takes: "CreateToken",
			about:   "With the first one the daemon stops being open to everybody.",
			answers: []answer{created("The token, which is shown this once.", ref("CreatedToken"))},
			fails:   []protocol.Kind{protocol.KindStoreFull},
		},
		protocol.RouteRevokeToken: {
			tag: tagAdmin, summary: "Revoke a token",
			id:      parameter{about: "Of the token.", schema: object{"type": "string", "minLength": 1, "maxLength": 128}},
			answers: []answer{nothing("It is good for nothing.")},
			fails:   []protocol.Kind{protocol.KindStoreFull},
		},
		protocol.RouteListStores: {
			tag: tagAdmin, summary: "List stores, and how they are",
			about:   "In a cluster each node's disk under the name of a local store is one.",
			answers: []answer{ok("All of them, by name.", list("stores", "Store", nil))},
		},
		protocol.RouteListNodes: {
			tag: tagAdmin, summary: "List the daemons on one database, and how they are",
			answers: []answer{ok("All that have a place, or had one that nobody has taken since, by id; none on SQLite.", list("nodes", "Node", nil))},
		},
		protocol.RoutePatchNode: {
			tag: tagAdmin, summary: "Drain a node of a cluster, or take that back", takes: "PatchNode",
			about: "A node that is drained takes nothing new, also after a restart: what is new goes to other nodes, jobs that are not bound to it too. It answers, and goes on with " +
				"what lies on its disks. The last one that takes what is new is not drained.",
			id:      parameter{about: "Of the node.", schema: object{"type": "string", "minLength": 1, "maxLength": 128}},
			answers: []answer{ok("The node, as it is now.", ref("Node"))},
			fails:   []protocol.Kind{protocol.KindConflict, protocol.KindStoreFull},
		},
	}
}

func systemOperations() map[protocol.RouteName]operation {
	return map[protocol.RouteName]operation{
		protocol.RouteCapabilities: {
			tag: tagSystem, summary: "Ask what the daemon can do",
			answers: []answer{ok("What a client may expect.", ref("Capabilities"))},
		},
		protocol.RouteHealthz: {
			tag: tagSystem, summary: "Ask whether the process answers",
			about:   "Nothing else: who restarts on it must not restart for a database that is away.",
			answers: []answer{ok("It does.", ref("Health"))},
		},
		protocol.RouteReadyz: {
			tag: tagSystem, summary: "Ask whether requests should be sent here",
			answers: []answer{
				ok("They should.", ref("Health")),
				{status: 503, about: "They should not, for the reasons given.", schema: ref("Health"), headers: []string{"Retry-After"}},
			},
		},
		protocol.RouteOpenAPI: {
			tag: tagSystem, summary: "Read this document",
			answers: []answer{ok("An OpenAPI document.", object{"type": "object", "properties": object{"openapi": object{"const": Version}}})},
		},
	}
}
