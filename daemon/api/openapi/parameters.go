package openapi

import (
	"strings"

	"github.com/osproxy/osproxy/protocol"
)

const uidPattern = "^[1-9][0-9]{0,18}$"

// queryParameters are those of the query that are the same wherever they are.
func queryParameters() map[string]parameter {
	text := func(most int) object { return object{"type": "string", "maxLength": most} }
	return map[string]parameter{
		"limit":  {about: "How many there are on a page at most.", schema: object{"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}},
		"cursor": {about: "The value of next from the page before, unchanged.", schema: text(256)},
		"name":   {about: "Only of this very name.", schema: text(protocol.MaxNameBytes)},
		"prefix": {about: "Only those whose name begins with it.", schema: text(protocol.MaxNameBytes)},
		"digest": {about: "Only those whose content this is.", schema: object{"type": "string", "pattern": "^[0-9a-f]{64}$"}},
		"disposition": {about: "What a browser is to do with it; inline is heeded for types that are safe to show.",
			schema: object{"enum": []any{protocol.DispositionAttachment, protocol.DispositionInline}, "default": protocol.DispositionAttachment}},
		"expires_at": {about: "When the File ends by itself.", schema: ref("File/$defs/time")},
		"owner":      {about: "Only this owner's.", schema: text(protocol.MaxOwner)},
		"state":      {about: "Only in this state.", schema: object{"enum": words(protocol.JobStates())}},
		"kind":       {about: "Only of this kind.", schema: text(64)},
		"uid":        {about: "Those of this file.", schema: object{"type": "string", "pattern": uidPattern}},
		"all":        {about: "Those of all files; it is this or uid.", schema: object{"enum": []any{"true"}}},
		"meta.KEY": {about: "Any number of these: KEY is a key of the File's meta, of A-Z a-z 0-9 . _ - and at most 128 bytes.",
			schema: text(protocol.MaxMetaValue)},
	}
}

// requestHeaders are the fields of requests that some routes heed.
func requestHeaders() map[string]parameter {
	text := object{"type": "string", "maxLength": 4096}
	return map[string]parameter{
		protocol.HeaderXXH3:      {about: "The XXH3-128 of the body, which is compared.", schema: object{"type": "string", "pattern": "^[0-9a-f]{32}$"}},
		"Content-Digest":         {about: "The SHA-256 of the body (RFC 9530), which is compared.", schema: text},
		protocol.HeaderRequestID: {about: "Names the request in the answer and in the log; any other text than this gets a new one.", schema: object{"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}},
		protocol.HeaderTraceparent: {about: "Of which piece of work the request is (W3C Trace Context); it shows in the log and in what the daemon sends on.",
			schema: object{"type": "string", "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"}},
		protocol.HeaderIdempotencyKey: {about: "A repeated request of the same owner gets the first one's answer for a day; another one under the key is idempotency_mismatch.",
			schema: object{"type": "string", "pattern": "^[!-~]{1,128}$"}},
		"Range":               {about: "Which bytes, at most 64 ranges.", schema: text},
		"If-Range":            {about: "The range only while the ETag, or the time, is this.", schema: text},
		"If-Match":            {about: "Only while the ETag is one of these.", schema: text},
		"If-None-Match":       {about: "Only while the ETag is none of these.", schema: text},
		"If-Modified-Since":   {about: "Only if it was committed later.", schema: text},
		"If-Unmodified-Since": {about: "Only if it was not committed later.", schema: text},
	}
}

func words[T ~string](list []T) []any {
	out := make([]any, len(list))
	for i, w := range list {
		out[i] = string(w)
	}
	return out
}

// parameter refers to a request's field of that name.
func (d document) parameter(header string) object {
	p, ok := requestHeaders()[header]
	if !ok {
		panic("openapi: nothing is written of the field " + header)
	}
	d.components.parameters[header] = object{"name": header, "in": "header", "description": p.about, "schema": p.schema}
	return object{"$ref": "#/components/parameters/" + header}
}

// parameters are those of the query and of the header.
func (d document) parameters(r Route, o operation) []any {
	var all []any
	known := queryParameters()
	if v0Path(r) != "" {
		known = v0Parameters()
	}
	for _, name := range r.Query {
		if strings.HasSuffix(name, ".") {
			name += "KEY"
		}
		p, ok := o.query[name]
		if !ok {
			p, ok = known[name]
		}
		if !ok {
			panic("openapi: nothing is written of the parameter " + name)
		}
		all = append(all, object{"name": name, "in": "query", "description": p.about, "required": p.required, "schema": p.schema})
	}
	for _, name := range o.headers {
		all = append(all, d.parameter(name))
	}
	return all
}

// pathParameters are the variable parts of the path.
func (d document) pathParameters(r Route) []any {
	id := d.operations[r.Name].id
	known := map[string]parameter{
		"uid":    {about: "Of the file.", schema: object{"type": "string", "pattern": uidPattern}},
		"number": {about: "Of the part, from 1.", schema: object{"type": "integer", "minimum": 1, "maximum": protocol.MaxParts}},
		"token":  {about: "Of the link.", schema: object{"type": "string", "minLength": 1, "maxLength": 4096}},
		"id":     id,
	}
	var all []any
	for segment := range strings.SplitSeq(r.Path, "/") {
		name, ok := strings.CutPrefix(segment, "{")
		if !ok {
			continue
		}
		name = strings.TrimSuffix(name, "}")
		p, ok := known[name]
		if !ok || p.schema == nil {
			panic("openapi: nothing is written of {" + name + "} in " + r.Path)
		}
		all = append(all, object{"name": name, "in": "path", "required": true, "description": p.about, "schema": p.schema})
	}
	return all
}
