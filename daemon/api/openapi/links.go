package openapi

import "github.com/osproxy/osproxy/protocol"

func linkOperations() map[protocol.RouteName]operation {
	return map[protocol.RouteName]operation{
		protocol.RouteCreateLinks: {
			tag: tagLinks, summary: "Sign links", takes: "CreateLinks", headers: []string{protocol.HeaderIdempotencyKey},
			about:   "A link to get needs the scope file:read besides, one to put file:write. What is signed cannot be changed, and goes on when the token has ended.",
			answers: []answer{ok("The links, in order.", list("links", "Link", nil))},
			fails: []protocol.Kind{
				protocol.KindBadName, protocol.KindBadUID, protocol.KindNotFound, protocol.KindIdempotencyMismatch, protocol.KindStoreFull,
			},
		},
		protocol.RouteRevokeLinks: {
			tag: tagLinks, summary: "End links before their time",
			about:   "Those of one file, or all of the owner's. It is uid or all=true.",
			answers: []answer{nothing("They are good for nothing.")},
			fails:   []protocol.Kind{protocol.KindBadUID, protocol.KindNotFound, protocol.KindStoreFull},
		},
		protocol.RouteGetLink: {
			tag: tagLinks, summary: "Read the file of a link", headers: reading(), answers: contentAnswers(), fails: read(protocol.KindNotFound),
		},
		protocol.RoutePutLink: {
			tag: tagLinks, summary: "Put the file of a link", headers: hashed(),
			about:   "In one request, however large it is. One that broke off is repeated with the same bytes.",
			answers: []answer{created("The File.", ref("File")).at()},
			fails:   received(protocol.KindCommitted, protocol.KindConflict, protocol.KindPartsDiffer, protocol.KindTooLarge, protocol.KindRateLimited),
		},
	}
}
