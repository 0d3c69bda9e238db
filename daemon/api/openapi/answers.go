package openapi

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/osproxy/osproxy/protocol"
)

// responseHeaders are the fields of answers, by name.
func responseHeaders() map[string]parameter {
	text := func(pattern string) object { return object{"type": "string", "pattern": pattern} }
	return map[string]parameter{
		protocol.HeaderRequestID: {about: "What to quote; the daemon's log has it too.", schema: text("^[A-Za-z0-9._-]{1,64}$")},
		"Location":               {about: "Where it is.", schema: text("^/v1/[a-z]+/[1-9][0-9]{0,18}$")},
		"Retry-After":            {about: "After how many seconds to come back.", schema: text("^[1-9][0-9]*$")},
		"WWW-Authenticate":       {about: "How to authenticate.", schema: text("^Bearer$")},
		protocol.HeaderRepeated:  {about: "true where it had been committed before.", schema: text("^true$")},
		"ETag":                   {about: "Of the bytes, with its quotes. It never changes.", schema: text(`^".+"$`)},
		"Last-Modified":          {about: "When it was committed.", schema: text(" GMT$")},
		"Cache-Control":          {about: "Whether a cache may keep it, and has to ask before it uses it.", schema: text("^(private|no-store|no-cache)")},
		"Accept-Ranges":          {about: "Ranges of bytes can be asked for.", schema: text("^bytes$")},
		"Content-Disposition":    {about: "How a browser saves it.", schema: text("^(attachment|inline)")},
		"Repr-Digest":            {about: "The SHA-256 of all bytes (RFC 9530), once it is known.", schema: text("^sha-256=:[A-Za-z0-9+/]{43}=:$")},
		"Content-Range":          {about: "Which bytes these are, and of how many.", schema: text("^bytes ([0-9]+-[0-9]+|\\*)/[0-9]+$")},
		"Content-Length":         {about: "How many bytes a GET would send.", schema: text("^[0-9]+$")},
	}
}

// header refers to a response's field of that name.
func (d document) header(name string, always bool) object {
	p, ok := responseHeaders()[name]
	if !ok {
		panic("openapi: nothing is written of the field " + name)
	}
	key := name
	if !always {
		key = name + "-where-known"
	}
	d.components.headers[key] = object{"description": p.about, "required": always, "schema": p.schema}
	return object{"$ref": "#/components/headers/" + key}
}

// headers are those of an answer.
func (d document) headers(always, may []string) object {
	h := object{protocol.HeaderRequestID: d.header(protocol.HeaderRequestID, true)}
	for _, name := range always {
		h[name] = d.header(name, true)
	}
	for _, name := range may {
		h[name] = d.header(name, false)
	}
	return h
}

// responses are all that the route answers with.
func (d document) responses(r Route, o operation) object {
	all := object{}
	for _, a := range o.answers {
		response := object{"description": a.about, "headers": d.headers(a.headers, a.may)}
		content := object{}
		if a.schema != nil {
			content["application/json"] = object{"schema": a.schema}
		}
		for _, media := range a.media {
			content[media] = object{"schema": object{"description": "The bytes."}}
		}
		if len(content) > 0 && r.Method != http.MethodHead {
			response["content"] = content
		}
		all[strconv.Itoa(a.status)] = response
	}
	if v0Path(r) != "" {
		d.v0Refusals(r, o, all)
		return all
	}
	byStatus := map[int][]protocol.Kind{http.StatusRequestTimeout: {protocol.KindUnavailable}}
	for _, k := range append(refusals(r), o.fails...) {
		status := k.Row().Status
		if !slices.Contains(byStatus[status], k) {
			byStatus[status] = append(byStatus[status], k)
		}
	}
	for status, kinds := range byStatus {
		if own, twice := all[strconv.Itoa(status)].(object); twice {
			// Of /readyz, which says it in its own form, but for a connection too many.
			_, refused := d.refused(r, status, kinds)
			maps.Copy(own["content"].(object), refused["content"].(object))
			continue
		}
		all[strconv.Itoa(status)] = d.refusal(r, status, kinds)
	}
	return all
}

// refusals are the kinds that follow from what a route is.
func refusals(r Route) []protocol.Kind {
	kinds := []protocol.Kind{
		protocol.KindBadRequest, protocol.KindUnknownField, protocol.KindBadHost, protocol.KindLengthRequired,
		protocol.KindUnsupportedMediaType, protocol.KindHeadersTooLarge, protocol.KindInternal, protocol.KindUnavailable,
	}
	if r.Access != ByLink {
		kinds = append(kinds, protocol.KindBadOrigin)
	}
	switch r.Access {
	case ByToken:
		kinds = append(kinds, protocol.KindUnauthenticated, protocol.KindForbidden)
	case ByLink:
		kinds = append(kinds, protocol.KindForbidden)
	}
	if r.Drains {
		kinds = append(kinds, protocol.KindDraining)
	}
	if r.Handed {
		kinds = append(kinds, protocol.KindOwnerDown)
	}
	if r.Body == JSON {
		kinds = append(kinds, protocol.KindTooLarge, protocol.KindBadLength)
	}
	if r.Body == Bytes {
		kinds = append(kinds, protocol.KindBadLength)
	}
	if strings.Contains(r.Path, "{uid}") {
		kinds = append(kinds, protocol.KindBadUID, protocol.KindNotFound)
	}
	if strings.Contains(r.Path, "{number}") {
		kinds = append(kinds, protocol.KindBadPart)
	}
	if strings.Contains(r.Path, "{id}") {
		kinds = append(kinds, protocol.KindNotFound)
	}
	return kinds
}

// refusal refers to the answer of a status with one of the kinds.
func (d document) refusal(r Route, status int, kinds []protocol.Kind) object {
	name, response := d.refused(r, status, kinds)
	d.components.responses[name] = response
	return object{"$ref": "#/components/responses/" + name}
}

// refused is that answer, and what it is called.
func (d document) refused(r Route, status int, kinds []protocol.Kind) (name string, response object) {
	slices.Sort(kinds)
	words := make([]string, len(kinds))
	codes := make([]any, len(kinds))
	for i, k := range kinds {
		words[i], codes[i] = string(k), string(k)
	}
	name = fmt.Sprintf("%d.%s", status, strings.Join(words, "."))
	var always []string
	switch status {
	case http.StatusUnauthorized:
		always = []string{"WWW-Authenticate"}
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		always = []string{"Retry-After"}
	case http.StatusRequestedRangeNotSatisfiable:
		always = []string{"Content-Range"}
	}
	about := make([]string, len(kinds))
	for i, k := range kinds {
		about[i] = "`" + string(k) + "`: " + k.Row().Title + "."
	}
	response = object{"description": strings.Join(about, " "), "headers": d.headers(always, nil)}
	if r.Method == http.MethodHead {
		name += ".head"
	} else {
		example := (&protocol.Error{Kind: kinds[0]}).Problem("d3b07384d113edec49ea")
		example.Status = status
		response["content"] = object{"application/problem+json": object{
			"schema":  object{"allOf": []any{ref("Problem"), object{"properties": object{"code": object{"enum": codes}, "status": object{"const": status}}}}},
			"example": example,
		}}
	}
	return name, response
}
