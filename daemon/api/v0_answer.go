package api

import (
	"encoding/json"
	"net/http"

	"github.com/osproxy/osproxy/protocol"
)

// v0OK is the message of every answer that is no error.
const v0OK = "ok"

// v0Answer is the form of every answer of v0 but the bytes of a download. code
// says nothing: clients go by the status.
type v0Answer struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data"`
}

// writeV0 answers with an envelope.
func (c *call) writeV0(status int, message string, data any) {
	b, err := json.Marshal(v0Answer{Message: message, Data: data})
	if err != nil {
		c.fail(err)
		return
	}
	c.writeBody(status, b)
	c.http.Response.Header.SetContentType("application/json; charset=utf-8")
}

// v0Status is the status of an error: clients of v0 know four of them. One that
// passes is a 500 with a Retry-After, since that is what they try again.
func v0Status(k protocol.Kind) int {
	switch status := k.Row().Status; {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return http.StatusUnauthorized
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		return http.StatusNotFound
	case status == http.StatusTooManyRequests, status >= http.StatusInternalServerError, status == 0:
		return http.StatusInternalServerError
	}
	return http.StatusUnprocessableEntity
}

// v0Message is what is told of an error. Of storage nothing is: no client of v0
// knows of it.
func v0Message(e *protocol.Error) string {
	switch e.Kind {
	case protocol.KindStoreUnavailable, protocol.KindStoreFull, protocol.KindOwnerDown:
		return "the storage cannot be used now; what this request sent was not recorded, what was acknowledged before is safe"
	case protocol.KindContentCorrupt:
		return "the content is damaged and is not sent"
	}
	if e.Message == "" {
		return e.Kind.Row().Title
	}
	return e.Message
}
