package cli

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/osproxy/osproxy/client/transfer"
	"github.com/osproxy/osproxy/docs/schema"
	"github.com/osproxy/osproxy/docs/schema/schematest"
	"github.com/osproxy/osproxy/protocol"
)

// TestSchemasAgreeWithTheStructs: each published object has the fields of the
// struct that is printed, requires those that are always there, and says null
// where the struct can.
func TestSchemasAgreeWithTheStructs(t *testing.T) {
	tests := []struct {
		schema string
		below  []string // the way to the object in it
		value  any
	}{
		{"result.json", nil, resultLine{}},
		{"result.json", []string{"error"}, errorLine{}},
		{"summary.json", nil, summaryLine{}},
		{"file.json", nil, protocol.File{}},
		{"problem.json", nil, protocol.Problem{}},
		{"problem.json", []string{"parts"}, protocol.Part{}},
		{"transfer.json", nil, transfer.Transfer{}},
		{"transfer.json", []string{"stamp"}, transfer.Stamp{}},
		{"transfer.json", []string{"last_error"}, transfer.LastError{}},
		{"profile.json", nil, profileLine{}},
		{"settings.json", nil, effectiveLine{}},
		{"settings.json", []string{"token"}, setting{}},
		{"version.json", nil, build{}},
		{"job.json", nil, protocol.Job{}},
		{"job.json", []string{"progress"}, protocol.JobProgress{}},
		{"webhook.json", nil, protocol.Webhook{}},
		{"created_webhook.json", nil, protocol.CreatedWebhook{}},
		{"webhook_test.json", nil, protocol.WebhookTest{}},
		{"webhook_replay.json", nil, protocol.WebhookReplay{}},
		{"store.json", nil, protocol.Store{}},
		{"node.json", nil, protocol.Node{}},
		{"link.json", nil, protocol.Link{}},
		{"manifest_entry.json", nil, protocol.ManifestEntry{}},
		{"event.json", nil, protocol.Event{}},
		{"event.json", []string{"data"}, protocol.EventData{}},
		{"event.json", []string{"data", "job"}, protocol.EventJob{}},
	}
	// What ospd prints is held to its schema by ospd's own tests.
	seen := map[string]bool{"copied_metadata.json": true, "store_test_case.json": true, "store_test_summary.json": true, "osproxy_row.json": true, "osproxy_summary.json": true}
	for _, tt := range tests {
		seen[tt.schema] = true
		t.Run(fmt.Sprint(tt.schema, tt.below), func(t *testing.T) {
			s := schema.Read(tt.schema)
			for _, name := range tt.below {
				s = s.Resolve().Properties[name]
				if s.Items != nil {
					s = s.Items
				}
			}
			if err := schematest.Compare(s.Resolve(), reflect.TypeOf(tt.value)); err != nil {
				t.Error(err)
			}
		})
	}
	for _, name := range schema.Names() {
		if !seen[name] {
			t.Errorf("%s is published and compared with no struct", name)
		}
	}
}
