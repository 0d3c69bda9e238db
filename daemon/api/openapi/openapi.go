// Package openapi makes the OpenAPI document (3.1) of the daemon. What is known
// elsewhere is taken from there and not written again: routes and kinds of error
// are protocol's tables, bodies are the schemas of docs/schema, and who may use a
// route and what it takes the server says of itself (Route). What is left is in
// this package: for each route what it does, what it answers and which kinds it
// refuses with (operations.go and the files it names).
package openapi

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/osproxy/osproxy/protocol"
)

// Version is that of the OpenAPI Specification which the document follows.
const Version = "3.1.1"

// Access is who may use a route.
type Access int

const (
	// Public is for everybody.
	Public Access = iota
	// ByToken is for who sends a token with one of the route's scopes.
	ByToken
	// ByLink is for who has the link that is in the path.
	ByLink
	// BySignature is for who has the signed link of v0 that is in the query.
	BySignature
	// ByTokenOrAddress is as ByToken, and for who calls from an address of v0_access.
	ByTokenOrAddress
)

// Body is what a route takes as body.
type Body int

const (
	// NoBody is none.
	NoBody Body = iota
	// JSON is of the schema of its operation.
	JSON
	// Bytes are any, with a Content-Length.
	Bytes
	// Form is a form with the file in one of its fields.
	Form
)

// Route is a route as the server has it.
type Route struct {
	protocol.Route
	Access Access
	// Scopes are those of which ByToken asks for one.
	Scopes []protocol.Scope
	// LinkToo: instead of a token a link to put will do.
	LinkToo bool
	// Query are the parameters it knows; one that ends in a dot is a prefix.
	Query []string
	Body  Body
	// Drains: it is refused while the daemon stops.
	Drains bool
	// Handed: where what it needs lies with another node, that node serves it.
	Handed bool
}

// object is one of JSON.
type object = map[string]any

// Document is the document of a daemon of that version with those routes. A
// route that nothing is written of, or that is written of wrongly, is a mistake
// in the program, and a panic.
func Document(version string, routes []Route) []byte {
	d := document{operations: operations(), components: components{
		schemas: bundle(), responses: object{}, headers: object{}, parameters: object{},
	}}
	paths := object{}
	for _, r := range routes {
		item, ok := paths[r.Path].(object)
		if !ok {
			item = object{"parameters": append([]any{d.parameter(protocol.HeaderRequestID), d.parameter(protocol.HeaderTraceparent)}, d.pathParameters(r)...)}
			paths[r.Path] = item
		}
		item[strings.ToLower(r.Method)] = d.operation(r)
	}
	c := d.components
	c.schemas = used(c.schemas, []any{paths, c.responses, c.headers, c.parameters})
	whole := object{
		"openapi": Version,
		"info": object{
			"title": "osp", "version": version, "summary": "A file service: uids, uploads that resume, and links.",
			"description": aboutAPI, "license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		// From where the document is: a proxy may have the daemon below a folder, and
		// what is beside that is to see no token.
		"servers":    []any{object{"url": "./", "description": "This daemon."}},
		"tags":       tags(),
		"paths":      paths,
		"components": c.object(),
	}
	text, err := json.Marshal(whole)
	if err != nil {
		panic(fmt.Sprintf("the OpenAPI document: %v", err))
	}
	return text
}

const aboutAPI = "JSON is UTF-8 with names in snake_case. A field without a value is null, never absent; pass over fields that you do not know. " +
	"Times are RFC 3339 in UTC with milliseconds, sizes and offsets integers of bytes, uids strings of digits.\n\n" +
	"Each GET can be asked as HEAD. An answer that is an error is a Problem; its code is the one thing to go by.\n\n" +
	"While no token was ever made, everybody who reaches the daemon may do everything, and it answers to its own names alone."

// tags are the groups of operations, in the order in which they are shown.
func tags() []any {
	var list []any
	for _, t := range [][2]string{
		{tagFiles, "What was put, by uid."},
		{tagUploads, "Files in the making: parts that are sent again at will, and a commit."},
		{tagLinks, "Capabilities for one file, for those who have no token."},
		{tagJobs, "Work of the daemon beside requests."},
		{tagWebhooks, "Events that are sent to addresses of owners."},
		{tagAdmin, "Tokens and stores."},
		{tagSystem, "The daemon itself."},
		{tagV0, aboutV0},
	} {
		list = append(list, object{"name": t[0], "description": t[1]})
	}
	return list
}

type document struct {
	operations map[protocol.RouteName]operation
	components components
}

// components are what the document refers to.
type components struct{ schemas, responses, headers, parameters object }

func (c components) object() object {
	return object{
		"schemas": c.schemas, "responses": c.responses, "headers": c.headers, "parameters": c.parameters,
		"securitySchemes": object{
			"token":     object{"type": "http", "scheme": "bearer", "description": "A token of ospd token create, or of POST /v1/tokens. What it has to allow stands beside it."},
			"signature": object{"type": "apiKey", "in": "query", "name": "signature", "description": "A link of v0 has it, with what else stands in its query."},
			"link":      object{"type": "http", "scheme": protocol.SchemeLink, "description": "The token of a link that puts: Authorization: Link TOKEN. It is good for its own uid alone."},
		},
	}
}

// operation describes a route.
func (d document) operation(r Route) object {
	o := d.written(r)
	out := object{
		"operationId": string(r.Name), "tags": []any{o.tag}, "summary": o.summary,
		"security": security(r, o), "responses": d.responses(r, o),
	}
	if o.about != "" {
		out["description"] = o.about
	}
	if p := d.parameters(r, o); len(p) > 0 {
		out["parameters"] = p
	}
	if body := requestBody(r, o); body != nil {
		out["requestBody"] = body
	}
	return out
}

// written is what is written of a route.
func (d document) written(r Route) operation {
	o, ok := d.operations[r.Name]
	if path := v0Path(r); path != "" {
		o, ok = v0Operations()[path]
		o.tag = tagV0
	}
	if !ok {
		panic("openapi: nothing is written of the route " + string(r.Name))
	}
	return o
}

// security is what a caller has to send: one of these.
func security(r Route, o operation) []any {
	list := []any{}
	if r.Access == BySignature {
		list = append(list, object{"signature": []any{}})
	}
	if r.Access == ByTokenOrAddress {
		list = append(list, object{}) // the address is nothing that is sent
	}
	if r.Access == ByToken || r.Access == ByTokenOrAddress {
		for _, s := range r.Scopes {
			list = append(list, object{"token": append([]any{string(s)}, words(o.with)...)})
		}
	}
	if r.LinkToo {
		list = append(list, object{"link": []any{}})
	}
	return list
}

// requestBody is what the route takes, nil for nothing.
func requestBody(r Route, o operation) object {
	content := object{}
	switch r.Body {
	case NoBody:
		return nil
	case Bytes:
		content["*/*"] = object{"schema": object{"description": "The bytes."}}
	case Form:
		return v0Form()
	case JSON:
		if o.body != nil {
			content["application/json"] = object{"schema": o.body}
			break
		}
		if o.takes == "" {
			panic("openapi: nothing is written of the body of " + string(r.Name))
		}
		content["application/json"] = object{"schema": ref(o.takes)}
		if r.Method == "PATCH" {
			content["application/merge-patch+json"] = object{"schema": ref(o.takes)}
		}
	}
	return object{"required": !o.mayBeEmpty, "content": content}
}
