package openapi

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/osproxy/osproxy/protocol"
)

const tagV0 = "v0"

const aboutV0 = "The API of the predecessor, for the applications that speak it. Every answer but the bytes of a download is an envelope, whose code is always 0: " +
	"go by the status. Parameters of the query that are not known are passed over, and a value that is there twice counts once."

// v0Operations are those of version 0, by their paths.
func v0Operations() map[string]operation {
	text := object{"type": "string"}
	uid := object{"type": "string", "pattern": uidPattern}
	known := object{"description": "The uid of a new file with these bytes; empty where they have to be sent.", "type": "string", "pattern": "^([1-9][0-9]{0,18})?$"}
	expire := object{"description": "For how many seconds the links are good; more than the daemon allows is cut to that.", "type": "integer", "minimum": 1}
	says := func(words string) answer { return envelope("It answers.", object{"const": words}) }
	link := object{"description": "A path with a query, to be sent as it is; taken apart and put together in another order it is as good.", "type": "string", "pattern": "^/api/storage/v0/"}
	urls := members(object{"single": link, "multi": members(object{"upload": link, "merge": link})})
	about := members(object{
		"srcName": text, "dstName": object{"description": "A name that no other file has.", "type": "string"},
		"height": object{"type": "integer", "minimum": 0}, "width": object{"type": "integer", "minimum": 0},
		"md5":  object{"description": "Empty while it is not known.", "type": "string", "pattern": "^([0-9a-f]{32})?$"},
		"size": object{"type": "string", "pattern": "^[0-9]+$"},
	})
	stored := envelope("It is stored.", object{"const": ""})
	return map[string]operation{
		"/ping":   {summary: "Ask whether the daemon answers", answers: []answer{says("Test Router...")}},
		"/health": {summary: "Ask whether the daemon answers", answers: []answer{says("Health...")}},
		"/resume": {
			summary: "Make files of bytes that the owner has, by their MD5",
			body:    members(object{"data": listOf(50, members(object{"md5": object{"type": "string", "pattern": "^[0-9A-Fa-f]{32}$"}, "path": text}))}),
			answers: []answer{envelope("Each one's answer at its place.", listOf(0, members(object{"md5": text, "uid": known})))},
		},
		"/checkpoint": {
			summary: "List the chunks that are there of an upload", query: uidParameter("Of the upload."),
			answers: []answer{envelope("Their numbers.", listOf(0, object{"type": "integer", "minimum": 1}))},
		},
		"/link/upload": {
			summary: "Sign links to put files", with: []protocol.Scope{protocol.ScopeFileWrite},
			body:    members(object{"filePath": listOf(50, text), "expire": expire}),
			answers: []answer{envelope("One for each name, those that were there twice once.", listOf(0, members(object{"uid": uid, "url": urls, "path": text})))},
		},
		"/link/download": {
			summary: "Sign links to get files", with: []protocol.Scope{protocol.ScopeFileRead},
			body:    members(object{"uid": listOf(200, uid), "expire": expire}),
			answers: []answer{envelope("One for each file that there is.", listOf(0, members(object{"uid": uid, "url": link, "meta": about})))},
		},
		"/proxy": {
			summary: "Ask which node holds a file", query: uidParameter("Of the file."),
			answers: []answer{envelope("HOST:PORT of the node.", object{"type": "string", "minLength": 1})},
			fails:   []protocol.Kind{protocol.KindNotFound},
		},
		"/upload": {summary: "Put the file of a link in one request", answers: []answer{stored}},
		"/upload/multi": {
			summary: "Put a chunk of the file of a link", answers: []answer{stored},
			about: "Chunks are as long as the client likes, and come in any order.",
		},
		"/upload/merge": {
			summary: "Make a file of the chunks", answers: []answer{stored},
			about: "A wrong number or size changes nothing.", fails: []protocol.Kind{protocol.KindNotFound},
		},
		"/download": {summary: "Read the file of a link", headers: reading(), answers: contentAnswers(), fails: []protocol.Kind{protocol.KindNotFound}},
	}
}

func v0Parameters() map[string]parameter {
	text := func(pattern string) object { return object{"type": "string", "pattern": pattern} }
	number := func(least, most int64) object {
		return object{"type": "integer", "minimum": least, "maximum": most}
	}
	return map[string]parameter{
		"uid":       {about: "As the link has it.", schema: text(uidPattern), required: true},
		"date":      {about: "As the link has it: when it was signed, in UTC.", schema: text("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"), required: true},
		"expire":    {about: "As the link has it: for how many seconds from then on it is good.", schema: text("^[1-9][0-9]{0,9}$"), required: true},
		"signature": {about: "As the link has it.", schema: object{"type": "string", "minLength": 1, "maxLength": 4096}, required: true},
		"md5":       {about: "Of the bytes, which is compared.", schema: text("^[0-9A-Fa-f]{32}$"), required: true},
		"online":    {about: "1, as without it: shown where it may be; 0: saved.", schema: object{"enum": []any{"0", "1"}}},
		"chunkNum":  {about: "Of the chunk, from 1.", schema: number(1, protocol.MaxParts), required: true},
		"num":       {about: "How many chunks there are.", schema: number(1, protocol.MaxParts), required: true},
		"size":      {about: "How many bytes they have together.", schema: number(0, protocol.MaxSize), required: true},
	}
}

func uidParameter(about string) map[string]parameter {
	return map[string]parameter{"uid": {about: about, schema: object{"type": "string", "pattern": uidPattern}, required: true}}
}

// envelope is an answer whose data is of the schema.
func envelope(about string, data object) answer {
	return ok(about, envelopeOf(object{"const": "ok"}, data))
}

func envelopeOf(message, data object) object {
	return members(object{"code": object{"const": 0}, "message": message, "data": data})
}

// members is an object that always has these.
func members(properties object) object {
	var required []string
	for name := range properties {
		required = append(required, name)
	}
	slices.Sort(required)
	names := make([]any, len(required))
	for i, name := range required {
		names[i] = name
	}
	return object{"type": "object", "properties": properties, "required": names}
}

// listOf is a list of at most that many, 0 for any number.
func listOf(most int, of object) object {
	l := object{"type": "array", "items": of}
	if most > 0 {
		l["maxItems"] = most
	}
	return l
}

// v0Form is a body with the file.
func v0Form() object {
	file := object{"description": "The bytes. In a form of more than 1 MiB it is the last field.", "type": "string", "contentMediaType": "application/octet-stream"}
	return object{"required": true, "content": object{"multipart/form-data": object{"schema": members(object{"file": file})}}}
}

// v0Refusals are what v0 answers where v1 has all kinds: four statuses, in its
// own form. What cannot be read, or comes over a connection too many, is answered
// before it is known whose it is, and so as v1 does.
func (d document) v0Refusals(r Route, o operation, all object) {
	all["400"] = d.refusal(r, http.StatusBadRequest, []protocol.Kind{protocol.KindBadRequest})
	all["503"] = d.refusal(r, http.StatusServiceUnavailable, []protocol.Kind{protocol.KindUnavailable})
	all["408"] = d.refusal(r, http.StatusRequestTimeout, []protocol.Kind{protocol.KindUnavailable})
	all["431"] = d.refusal(r, http.StatusRequestHeaderFieldsTooLarge, []protocol.Kind{protocol.KindHeadersTooLarge})
	statuses := map[int]string{
		http.StatusUnauthorized:        "Whoever asks may not, or the link is not good.",
		http.StatusUnprocessableEntity: "Something is wrong with the request; nothing was done.",
		http.StatusInternalServerError: "The daemon cannot do it; where there is a Retry-After, not now.",
	}
	if slices.Contains(o.fails, protocol.KindNotFound) {
		statuses[http.StatusNotFound] = "There is no such file, and none that is being put."
	}
	for status, about := range statuses {
		var always, may []string
		switch status {
		case http.StatusUnauthorized:
			always = []string{"WWW-Authenticate"}
		case http.StatusInternalServerError:
			may = []string{"Retry-After"}
		}
		name := strconv.Itoa(status) + ".v0"
		d.components.schemas["V0Error"] = envelopeOf(object{"type": "string", "minLength": 1}, object{"const": ""})
		d.components.responses[name] = object{
			"description": about, "headers": d.headers(always, may),
			"content": object{"application/json": object{"schema": ref("V0Error")}},
		}
		all[strconv.Itoa(status)] = object{"$ref": "#/components/responses/" + name}
	}
}

// v0Path is the path of a route of v0 behind what all have in common, "" of
// another.
func v0Path(r Route) string {
	rest, ok := strings.CutPrefix(r.Path, "/api/storage/v0")
	if !ok {
		return ""
	}
	return rest
}
