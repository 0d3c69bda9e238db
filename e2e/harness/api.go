package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// API speaks WIRE by hand on net/http. Its Must methods end the test where the
// answer is not the one asked for; Do takes any answer.
type API struct {
	t    testing.TB
	url  string
	http *http.Client
}

// NewAPI is a fresh caller of the daemon at url.
func NewAPI(t testing.TB, url string) *API {
	t.Helper()
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	return &API{t: t, url: url, http: &http.Client{Transport: transport, Timeout: 4 * Patience}}
}

// Answer is one answer, read whole. Err is set when the connection was cut
// before its end; Body then holds what came.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	Err    error
}

// Code is the kind in a problem answer, "" in any other.
func (a Answer) Code() protocol.Kind {
	var p protocol.Problem
	if a.Header.Get("Content-Type") != "application/problem+json" || json.Unmarshal(a.Body, &p) != nil {
		return ""
	}
	return p.Code
}

// Do sends one request. header holds alternating names and values.
func (a *API) Do(method, path string, body io.Reader, length int64, header ...string) Answer {
	return a.DoContext(context.Background(), method, path, body, length, header...)
}

// DoContext is Do with an end.
func (a *API) DoContext(ctx context.Context, method, path string, body io.Reader, length int64, header ...string) Answer {
	req, err := http.NewRequestWithContext(ctx, method, a.url+path, body)
	if err != nil {
		return Answer{Err: err}
	}
	if body != nil {
		req.ContentLength = length
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return Answer{Err: err}
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return Answer{Status: resp.StatusCode, Header: resp.Header, Body: data, Err: err}
}

// JSON sends v as JSON (nothing when nil).
func (a *API) JSON(method, path string, v any, header ...string) Answer {
	if v == nil {
		return a.Do(method, path, nil, 0, header...)
	}
	data, err := json.Marshal(v)
	if err != nil {
		return Answer{Err: err}
	}
	return a.Do(method, path, bytes.NewReader(data), int64(len(data)), append(header, "Content-Type", "application/json")...)
}

// Begin begins an upload of a known size.
func (a *API) Begin(name string, size int64) (protocol.Upload, Answer) {
	var u protocol.Upload
	ans := a.JSON("POST", "/v1/uploads", map[string]any{"name": name, "size": size})
	decode(&ans, http.StatusCreated, &u)
	return u, ans
}

// PutPart sends one part with its XXH3.
func (a *API) PutPart(uid protocol.UID, n protocol.PartNumber, data []byte) Answer {
	path := fmt.Sprintf("/v1/uploads/%s/parts/%d", uid, n)
	return a.Do("PUT", path, bytes.NewReader(data), int64(len(data)), protocol.HeaderXXH3, protocol.SumXXH3(data).String())
}

// Commit commits with no statement of what was sent.
func (a *API) Commit(uid protocol.UID) Answer {
	return a.JSON("POST", "/v1/uploads/"+uid.String()+"/commit", nil)
}

// CommitSize commits what is to have size bytes.
func (a *API) CommitSize(uid protocol.UID, size int) Answer {
	return a.JSON("POST", "/v1/uploads/"+uid.String()+"/commit", map[string]any{"size": size})
}

// PutFile is the one-shot put.
func (a *API) PutFile(name string, data []byte) Answer {
	return a.Do("POST", "/v1/files?name="+url.QueryEscape(name), bytes.NewReader(data), int64(len(data)),
		protocol.HeaderXXH3, protocol.SumXXH3(data).String())
}

// Content gets the whole content.
func (a *API) Content(uid protocol.UID) Answer {
	return a.Do("GET", "/v1/files/"+uid.String()+"/content", nil, 0)
}

// Upload reads an upload as the daemon tells of it.
func (a *API) Upload(uid protocol.UID) (protocol.Upload, Answer) {
	var u protocol.Upload
	ans := a.JSON("GET", "/v1/uploads/"+uid.String(), nil)
	decode(&ans, http.StatusOK, &u)
	return u, ans
}

// decode fills v from an answer of the given status.
func decode(ans *Answer, status int, v any) {
	if ans.Err == nil && ans.Status == status {
		ans.Err = json.Unmarshal(ans.Body, v)
	}
}

// MustBegin is Begin that has to succeed.
func (a *API) MustBegin(name string, size int64) protocol.Upload {
	a.t.Helper()
	u, ans := a.Begin(name, size)
	a.Require(ans, http.StatusCreated)
	return u
}

// MustPutParts sends all parts of data that the upload needs.
func (a *API) MustPutParts(u protocol.Upload, data []byte) {
	a.t.Helper()
	for n, off := protocol.PartNumber(1), int64(0); off < int64(len(data)); n, off = n+1, off+u.PartSize {
		a.Require(a.PutPart(u.UID, n, data[off:min(off+u.PartSize, int64(len(data)))]), http.StatusOK)
	}
}

// MustUpload puts data in parts and commits it.
func (a *API) MustUpload(name string, data []byte) protocol.File {
	a.t.Helper()
	u := a.MustBegin(name, int64(len(data)))
	a.MustPutParts(u, data)
	return a.MustFile(a.Commit(u.UID), http.StatusOK)
}

// MustFile is the File in an answer of the given status.
func (a *API) MustFile(ans Answer, status int) protocol.File {
	a.t.Helper()
	a.Require(ans, status)
	var f protocol.File
	if err := json.Unmarshal(ans.Body, &f); err != nil {
		a.t.Fatalf("not a File: %s: %v", ans.Body, err)
	}
	return f
}

// Require ends the test unless the answer is whole and has the status.
func (a *API) Require(ans Answer, status int) {
	a.t.Helper()
	if ans.Err != nil || ans.Status != status {
		a.t.Fatalf("answer %d (want %d), error %v: %.400s", ans.Status, status, ans.Err, ans.Body)
	}
}

// MustHold ends the test unless the content reads back as want.
func (a *API) MustHold(uid protocol.UID, want []byte) {
	a.t.Helper()
	ans := a.Content(uid)
	a.Require(ans, http.StatusOK)
	if !bytes.Equal(ans.Body, want) {
		a.t.Fatalf("uid %s: %d bytes came back, and are not the %d bytes that were put", uid, len(ans.Body), len(want))
	}
}

// Files lists all files of the daemon.
func (a *API) Files() []protocol.File {
	a.t.Helper()
	var all []protocol.File
	for cursor := ""; ; {
		path := "/v1/files?limit=1000"
		if cursor != "" {
			path += "&cursor=" + url.QueryEscape(cursor)
		}
		ans := a.JSON("GET", path, nil)
		a.Require(ans, http.StatusOK)
		var page protocol.FileList
		if err := json.Unmarshal(ans.Body, &page); err != nil {
			a.t.Fatal(err)
		}
		all = append(all, page.Files...)
		if page.Next == nil {
			return all
		}
		cursor = *page.Next
	}
}
