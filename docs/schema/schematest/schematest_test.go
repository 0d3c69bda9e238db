package schematest

import (
	"slices"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/docs/schema"
)

const (
	uploaded = `{"v":1,"type":"result","op":"put","ok":true,"path":"a","uid":"7","name":"a","size":10,"digest":null,"outcome":"uploaded",` +
		`"sent_bytes":10,"resumed_bytes":0,"verified":true,"retries":0,"elapsed_ms":1,"transfer":null,"error":null}` + "\n"
	failed = `{"v":1,"type":"result","op":"put","ok":false,"path":"a","uid":null,"name":null,"size":null,"digest":null,"outcome":"failed",` +
		`"sent_bytes":3,"resumed_bytes":0,"verified":false,"retries":0,"elapsed_ms":1,"transfer":null,` +
		`"error":{"code":"network","exit":5,"message":"m","hint":null,"request_id":null,"retryable":true}}` + "\n"
	partial = `{"v":1,"type":"summary","ok":false,"exit":3,"items":2,"done":1,"failed":1,"bytes":10,"sent_bytes":13,"resumed_bytes":0,"instant_bytes":0,"elapsed_ms":1}` + "\n"
	nothing = `{"v":1,"type":"summary","ok":false,"exit":2,"items":0,"done":0,"failed":0,"bytes":0,"sent_bytes":0,"resumed_bytes":0,"instant_bytes":0,"elapsed_ms":1}` + "\n"
	version = `{"version":"1","commit":null,"date":null,"go":"go1","os":"linux","arch":"amd64"}` + "\n"
)

func TestOutput(t *testing.T) {
	s, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, verb, stdout string
		wrong              string // "" for nothing
	}{
		{"results", "put", uploaded + failed + partial, ""},
		{"nothing could be started", "put", nothing, ""},
		{"an object", "version", version, ""},
		{"no objects", "ls", "", ""},
		{"no summary", "put", "", "no summary"},
		{"summary is missing", "put", uploaded + failed, "summary"},
		{"two summaries", "put", nothing + nothing, "result"},
		{"summary of an object", "version", nothing, "version.json"},
		{"text", "put", "hello\n" + nothing, "JSON"},
		{"two documents on a line", "put", strings.TrimSuffix(nothing, "\n") + nothing, "JSON"},
		{"no last newline", "put", strings.TrimSuffix(nothing, "\n"), "does not end"},
		{"printed by a silent verb", "login", version, "print nothing"},
		{"a field is missing", "put", strings.Replace(uploaded, `"retries":0,`, "", 1) + nothing, "retries"},
		{"a field that is not published", "put", strings.Replace(uploaded, `"retries":0,`, `"retries":0,"new":1,`, 1) + nothing, "new"},
		{"a field of the error that is not published", "put", strings.Replace(failed, `"exit":5,`, `"exit":5,"new":1,`, 1) + nothing, "new"},
		{"null that cannot be", "put", strings.Replace(uploaded, `"retries":0`, `"retries":null`, 1) + nothing, "retries"},
		{"fraction of a byte", "put", strings.Replace(uploaded, `"sent_bytes":10`, `"sent_bytes":9.5`, 1) + nothing, "sent_bytes"},
		{"unknown outcome", "put", strings.Replace(uploaded, `"uploaded"`, `"sent"`, 1) + nothing, "outcome"},
		{"done with an error", "put", strings.Replace(failed, `"ok":false`, `"ok":true`, 1) + nothing, "error"},
		{"failed without one", "put", strings.Replace(uploaded, `"ok":true`, `"ok":false`, 1) + nothing, "error"},
		{"ok with an exit code", "put", strings.Replace(nothing, `"ok":false`, `"ok":true`, 1), "exit"},
		{"a result that is not counted", "put", uploaded + nothing, "agree"},
		{"bytes that do not add up", "put", uploaded + failed + strings.Replace(partial, `"sent_bytes":13`, `"sent_bytes":12`, 1), "agree"},
		{"bytes missing", "put", strings.Replace(uploaded, `"sent_bytes":10`, `"sent_bytes":9`, 1) + nothing, "do not make 10"},
		{"bytes too many", "put", strings.Replace(uploaded, `"sent_bytes":10`, `"sent_bytes":11`, 1) + nothing, "do not make 10"},
		{"instant and not verified", "put", strings.Replace(uploaded, `"uploaded"`, `"instant"`, 1) + nothing, "not verified"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := s.Output(tt.verb, []byte(tt.stdout))
			if tt.wrong == "" && err != nil {
				t.Errorf("refused: %v", err)
			}
			if tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong)) {
				t.Errorf("error %v, want one about %s", err, tt.wrong)
			}
		})
	}
}

// TestPublishedSchemasAreOpen: what is published allows fields of later
// versions; only these tests do not.
func TestPublishedSchemasAreOpen(t *testing.T) {
	for _, name := range slices.Concat(schema.Names(), schema.APINames()) {
		if strings.Contains(string(schema.Text(name)), `"additionalProperties": false`) {
			t.Errorf("%s forbids fields that may be added", name)
		}
	}
}

func TestEveryObjectHasASchema(t *testing.T) {
	s, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for verb, name := range Objects() {
		if name != "" && s.byName[name] == nil {
			t.Errorf("%s prints objects of %s, which is not published", verb, name)
		}
	}
}
