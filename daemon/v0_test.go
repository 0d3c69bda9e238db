package daemon

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"image"
	"image/png"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
)

// TestV0ByConfiguration: a client that knows no token puts an image and is told
// its size and MD5.
func TestV0ByConfiguration(t *testing.T) {
	cfg := config(t)
	cfg.V0Access = V0AccessConfig{Owner: "apps", From: []string{"127.0.0.0/8"}}
	d, _ := running(t, cfg)
	ask := func(method, path, contentType string, body []byte, data any) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, d.URL()+path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", contentType)
		status, text := do(t, req)
		answer := struct{ Data any }{data}
		if err := json.Unmarshal([]byte(text), &answer); err != nil || status != http.StatusOK {
			t.Fatalf("%d %s: %v", status, text, err)
		}
	}
	var puts []struct {
		UID string
		URL struct{ Single string }
	}
	ask(http.MethodPost, "/api/storage/v0/link/upload", "application/json", []byte(`{"filePath": ["a.png"], "expire": 60}`), &puts)
	var picture, form bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 31, 17))); err != nil {
		t.Fatal(err)
	}
	w := multipart.NewWriter(&form)
	file, err := w.CreateFormFile("file", "a.png")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(picture.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	plain := md5.Sum(picture.Bytes())
	sum := hex.EncodeToString(plain[:])
	ask(http.MethodPut, puts[0].URL.Single+"&md5="+sum, w.FormDataContentType(), form.Bytes(), new(string))

	var gets []struct {
		URL  string
		Meta struct {
			Height, Width float64
			MD5, Size     string
		}
	}
	for gets == nil || gets[0].Meta.Width == 0 { // it is waited for, but not for ever
		ask(http.MethodPost, "/api/storage/v0/link/download", "application/json", []byte(`{"uid": ["`+puts[0].UID+`"], "expire": 60}`), &gets)
	}
	if m := gets[0].Meta; m.Width != 31 || m.Height != 17 || m.MD5 != sum {
		t.Errorf("%+v, want the MD5 %s", m, sum)
	}
	if status, body := get(t, d.URL()+gets[0].URL+"&online=1"); status != http.StatusOK || body != picture.String() {
		t.Errorf("%d, %d bytes", status, len(body))
	}
	var node string
	ask(http.MethodGet, "/api/storage/v0/proxy?uid="+puts[0].UID, "", nil, &node)
	if node != strings.TrimPrefix(d.URL(), "http://") {
		t.Errorf("it is on %s", node)
	}
}
