package client

import (
	"encoding/json"
	"mime"
	"net/http"
	"strings"

	"github.com/osproxy/osproxy/protocol"
)

// v0Path is in the path of every request for v0.
const v0Path = "/api/storage/v0/"

// asV0 has e be what an answer of v0 says, where the answer is one: there the
// status alone tells what went wrong, and the body is v0's own envelope.
func asV0(e *protocol.Error, resp *http.Response, body []byte) {
	var envelope struct {
		Code    *int            `json:"code"`
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	}
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.Request == nil || !strings.Contains(resp.Request.URL.Path, v0Path) || mediaType != "application/json" ||
		json.Unmarshal(body, &envelope) != nil || envelope.Code == nil || envelope.Message == "" || envelope.Data == nil {
		return
	}
	kind := kindOfV0(resp)
	if kind == "" {
		return
	}
	e.Kind, e.Message, e.Hint = kind, envelope.Message, ""
}

// kindOfV0 is the kind of an error of v0, which knows four statuses; "" for any
// other.
func kindOfV0(resp *http.Response) protocol.Kind {
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return protocol.KindUnauthenticated
	case http.StatusNotFound:
		return protocol.KindNotFound
	case http.StatusUnprocessableEntity:
		return protocol.KindBadRequest
	case http.StatusInternalServerError:
		if resp.Header.Get("Retry-After") != "" {
			return protocol.KindUnavailable
		}
		return protocol.KindInternal
	}
	return ""
}
