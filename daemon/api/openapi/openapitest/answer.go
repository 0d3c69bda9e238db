package openapitest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Answer is one that came, whole.
type Answer struct {
	Method string
	// Target is the path of the request, with its query or without.
	Target string
	Status int
	Header http.Header
	// Body is nil where it was not kept.
	Body []byte
}

// Check holds an answer to the document and says which of its pairs it is, the
// zero value where its request went to no operation: then it is a problem.
func (d *Document) Check(a Answer) (Pair, error) {
	operation, at := d.find(a.Method, a.Target)
	if operation == nil {
		return Pair{}, d.checkNowhere(a)
	}
	pair := Pair{operationID(operation), a.Status, a.code()}
	status := strconv.Itoa(a.Status)
	response, at := d.follow(object(operation["responses"])[status], at+"/responses/"+status)
	if response == nil {
		return Pair{}, fmt.Errorf("%s %s: %s is answered, and not documented: %.300q", a.Method, a.Target, pair, a.Body)
	}
	if err := errors.Join(d.checkHeader(response, a.Header), d.checkBody(response, at, a)); err != nil {
		return pair, fmt.Errorf("%s %s: %s: %w", a.Method, a.Target, pair, err)
	}
	return pair, nil
}

// code is that of a Problem which can be looked into, "" of another answer.
func (a Answer) code() string {
	var p struct {
		Code string `json:"code"`
	}
	if a.Header.Get("Content-Type") != problem || json.Unmarshal(a.Body, &p) != nil {
		return ""
	}
	return p.Code
}

// isPreflight reports whether it is the answer to a CORS preflight: one without a
// body, of a method that is allowed to a page.
func (a Answer) isPreflight() bool {
	return a.Method == http.MethodOptions && a.Status == http.StatusNoContent && a.Header.Get("Access-Control-Allow-Methods") != "" && len(a.Body) == 0
}

// checkNowhere: what is no operation is refused, but for the page that shows the
// document, which is no part of the API, and the questions that browsers ask
// before an operation.
func (d *Document) checkNowhere(a Answer) error {
	if a.isPreflight() || isPage(a.Target) && slices.Contains([]int{http.StatusOK, http.StatusFound, http.StatusNotModified}, a.Status) {
		return nil
	}
	known := []int{http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusRequestTimeout,
		http.StatusRequestHeaderFieldsTooLarge, http.StatusServiceUnavailable, http.StatusInternalServerError}
	schema := "/components/schemas/Problem"
	if strings.HasPrefix(a.Target, "/api/storage/v0") && a.Header.Get("Content-Type") != problem {
		known = []int{http.StatusUnauthorized, http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusInternalServerError}
		schema = "/components/schemas/V0Error"
	}
	if !slices.Contains(known, a.Status) {
		return fmt.Errorf("%s %s is no operation, and is answered with %d", a.Method, a.Target, a.Status)
	}
	if a.Method == http.MethodHead || a.Body == nil {
		return nil
	}
	return d.checkJSON(schema, a.Body)
}

func (d *Document) checkHeader(response map[string]any, header http.Header) error {
	var all []error
	for name, h := range object(response["headers"]) {
		described, at := d.follow(h, "")
		values := header.Values(name)
		if len(values) == 0 {
			if described["required"] == true {
				all = append(all, fmt.Errorf("it has no %s", name))
			}
			continue
		}
		s, err := d.schema(at + "/schema")
		if err == nil {
			err = s.Validate(values[0])
		}
		if err != nil {
			all = append(all, fmt.Errorf("%s: %q: %w", name, values[0], err))
		}
	}
	return errors.Join(all...)
}

func (d *Document) checkBody(response map[string]any, at string, a Answer) error {
	content := object(response["content"])
	if a.Method == http.MethodHead || a.Body == nil {
		return nil
	}
	if len(content) == 0 {
		if len(a.Body) > 0 {
			return fmt.Errorf("it has the body %.100q, and none is documented", a.Body)
		}
		return nil
	}
	media, _, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	if err != nil {
		return fmt.Errorf("its Content-Type: %w", err)
	}
	if _, ok := content[media]; !ok {
		if _, any := content["*/*"]; any {
			return nil
		}
		return fmt.Errorf("it is %s, which is not documented", media)
	}
	if media != "application/json" && !strings.HasSuffix(media, "+json") {
		return nil
	}
	return d.checkJSON(at+"/content/"+escape(media)+"/schema", a.Body)
}

func (d *Document) checkJSON(at string, body []byte) error {
	s, err := d.schema(at)
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%.300q is not one JSON document: %w", body, err)
	}
	if err := s.Validate(v); err != nil {
		return fmt.Errorf("%.600q: %w", body, err)
	}
	return nil
}

func isPage(target string) bool {
	path, _, _ := strings.Cut(target, "?")
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return first == "docs" || first == "swagger"
}
