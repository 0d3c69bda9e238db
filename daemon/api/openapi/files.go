package openapi

import "github.com/osproxy/osproxy/protocol"

// Fields of requests that routes have in common.
func conditions() []string { return []string{"If-Match", "If-None-Match", "If-Unmodified-Since"} }

func reading() []string {
	return []string{"Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"}
}

func hashed(others ...string) []string { return append(others, protocol.HeaderXXH3, "Content-Digest") }

// received are the kinds of what can be wrong with the bytes of a body, and
// where they go, with others.
func received(others ...protocol.Kind) []protocol.Kind {
	return append(others, protocol.KindChecksumMismatch, protocol.KindBadLength, protocol.KindQuotaExceeded, protocol.KindStoreUnavailable, protocol.KindStoreFull)
}

// read are the kinds of what reading a file's bytes meets, with others.
func read(others ...protocol.Kind) []protocol.Kind {
	return append(others, protocol.KindPreconditionFailed, protocol.KindRange, protocol.KindContentCorrupt, protocol.KindStoreUnavailable)
}

// contentAnswers are those to a GET of bytes.
func contentAnswers() []answer {
	described := []string{"ETag", "Last-Modified", "Cache-Control", "Accept-Ranges", "Content-Disposition"}
	return []answer{
		{status: 200, about: "All bytes.", media: []string{"*/*"}, headers: described, may: []string{"Repr-Digest"}},
		{status: 206, about: "The bytes of the range; of several ranges as multipart/byteranges.", media: []string{"*/*"}, headers: described,
			may: []string{"Content-Range", "Repr-Digest"}},
		{status: 304, about: "The caller has it already.", headers: []string{"ETag", "Last-Modified", "Cache-Control"}},
	}
}

// headAnswers are those to a HEAD, for which Range is not defined.
func headAnswers() []answer {
	all := contentAnswers()
	all[0].about, all[0].headers = "What a GET would say.", append(all[0].headers, "Content-Length")
	return []answer{all[0], all[2]}
}

func fileOperations() map[protocol.RouteName]operation {
	return map[protocol.RouteName]operation{
		protocol.RoutePutFile: {
			tag: tagFiles, summary: "Put a small file in one request",
			about: "The body is the file, its Content-Type the media type. Larger ones are uploads.",
			query: map[string]parameter{"name": {required: true, schema: object{"type": "string", "minLength": 1, "maxLength": protocol.MaxNameBytes},
				about: "Segments joined by slashes, each at most 255 bytes of UTF-8 in NFC, none . or .. ."}},
			headers: hashed(protocol.HeaderIdempotencyKey),
			answers: []answer{created("The File.", ref("File")).at()},
			fails:   received(protocol.KindBadName, protocol.KindTooLarge, protocol.KindIdempotencyMismatch),
		},
		protocol.RouteListFiles: {
			tag: tagFiles, summary: "List files, newest first",
			answers: []answer{ok("A page of them.", page("files", "File"))},
		},
		protocol.RouteGetFile: {
			tag: tagFiles, summary: "Look at a file",
			answers: []answer{ok("The File.", ref("File"))},
		},
		protocol.RoutePatchFile: {
			tag: tagFiles, summary: "Change what is said of a file", takes: "PatchFile", headers: conditions(),
			answers: []answer{ok("The File as it is now.", ref("File"))},
			fails:   []protocol.Kind{protocol.KindBadName, protocol.KindPreconditionFailed, protocol.KindStoreFull},
		},
		protocol.RouteDeleteFile: {
			tag: tagFiles, summary: "Delete a file", headers: conditions(),
			answers: []answer{nothing("It is gone, for ever.")},
			fails:   []protocol.Kind{protocol.KindPreconditionFailed, protocol.KindStoreFull},
		},
		protocol.RouteGetContent: {
			tag: tagFiles, summary: "Read a file", headers: reading(), answers: contentAnswers(), fails: read(),
			about: "Every block is compared with its record before it leaves. Where damage is found when the answer has begun, the connection is cut.",
		},
		protocol.RouteHeadContent: {
			tag: tagFiles, summary: "Look at a file's bytes without reading them", headers: reading()[2:], answers: headAnswers(),
			fails: []protocol.Kind{protocol.KindPreconditionFailed, protocol.KindContentCorrupt},
		},
		protocol.RouteGetBlocks: {
			tag: tagFiles, summary: "Read the digests of a file's blocks", headers: reading(), answers: contentAnswers(),
			about: "The SHA-256 of each block of 4 MiB, 32 bytes each, in order: with them each block that is read can be trusted alone.",
			fails: []protocol.Kind{protocol.KindPreconditionFailed, protocol.KindRange, protocol.KindDigestPending, protocol.KindContentCorrupt},
		},
	}
}
