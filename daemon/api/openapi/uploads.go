package openapi

import "github.com/osproxy/osproxy/protocol"

func uploadOperations() map[protocol.RouteName]operation {
	return map[protocol.RouteName]operation{
		protocol.RouteBeginUpload: {
			tag: tagUploads, summary: "Begin an upload", takes: "BeginUpload", headers: []string{protocol.HeaderIdempotencyKey},
			about: "With a link to put it is the link's file, and what the link says cannot be said otherwise.",
			answers: []answer{
				created("The upload.", ref("Upload")).at(),
				ok("An upload that is there: found by resume, or begun with the same link before.", ref("Upload")).at(),
			},
			fails: []protocol.Kind{
				protocol.KindBadName, protocol.KindSizeRequired, protocol.KindTooLarge, protocol.KindQuotaExceeded, protocol.KindIdempotencyMismatch,
				protocol.KindCommitted, protocol.KindConflict, protocol.KindStoreUnavailable, protocol.KindStoreFull,
			},
		},
		protocol.RouteListUploads: {
			tag: tagUploads, summary: "List open uploads, newest first",
			answers: []answer{ok("A page of them.", page("uploads", "UploadSummary"))},
		},
		protocol.RouteProbe: {
			tag: tagUploads, summary: "Ask which contents the daemon may have", takes: "Probe",
			answers: []answer{ok("Each item's answer at its place.", ref("Probed"))},
		},
		protocol.RouteGetUpload: {
			tag: tagUploads, summary: "Look at an upload",
			answers: []answer{ok("The upload, with the parts that the daemon holds.", ref("Upload"))},
		},
		protocol.RouteAbortUpload: {
			tag: tagUploads, summary: "Give an upload up",
			answers: []answer{nothing("It is gone.")},
			fails:   []protocol.Kind{protocol.KindCommitted, protocol.KindStoreFull},
		},
		protocol.RoutePutPart: {
			tag: tagUploads, summary: "Send a part", headers: hashed(),
			about:   "Part N has the bytes from (N-1) times part_size on, part_size of them or what remains. Parts come in any order, at once, and again.",
			answers: []answer{ok("The part as it is recorded.", ref("Part"))},
			fails: received(protocol.KindTooManyParts, protocol.KindCommitted, protocol.KindPartsDiffer, protocol.KindConflict,
				protocol.KindRateLimited),
		},
		protocol.RouteCommit: {
			tag: tagUploads, summary: "Make a file of an upload", takes: "CommitUpload", mayBeEmpty: true,
			about:   "Nothing changes on any error. A commit that is repeated answers the File as it is.",
			answers: []answer{{status: 200, about: "The File.", schema: ref("File"), may: []string{protocol.HeaderRepeated}}},
			fails: []protocol.Kind{
				protocol.KindSizeRequired, protocol.KindPartsMissing, protocol.KindPartsDiffer, protocol.KindDigestDiffers, protocol.KindConflict, protocol.KindQuotaExceeded,
				protocol.KindStoreUnavailable, protocol.KindStoreFull,
			},
		},
		protocol.RouteClaim: {
			tag: tagUploads, summary: "Claim content that the daemon has", takes: "Claim",
			about: "Two rounds: a digest is answered with a challenge, and the proof that the caller has these bytes with the File. " +
				"Every refusal is the same claim_refused; the upload is as it was, and its parts can be sent.",
			answers: []answer{ok("The challenge, and in the second round the File.", object{"oneOf": []any{ref("Challenge"), ref("File")}})},
			fails:   []protocol.Kind{protocol.KindClaimRefused, protocol.KindRateLimited, protocol.KindStoreFull},
		},
	}
}
