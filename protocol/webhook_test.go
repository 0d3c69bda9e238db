package protocol

import (
	"encoding/json"
	"testing"
)

func TestWebhookIDs(t *testing.T) {
	for _, text := range []string{"1", "42", "9223372036854775807"} {
		if id, err := ParseWebhookID(text); err != nil || id.String() != text {
			t.Errorf("%q: %d, %v", text, id, err)
		}
	}
	for _, text := range []string{"", "0", "01", "-1", "+1", "1.0", "x", "9223372036854775808", " 1"} {
		if _, err := ParseWebhookID(text); KindOf(err) != KindBadRequest {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestWebhooksOnTheWire(t *testing.T) {
	var c CreateWebhook
	if err := DecodeRequest([]byte(`{"url":"u","events":["file.deleted"],"secret":"x"}`), &c); KindOf(err) != KindUnknownField {
		t.Errorf("a secret of the caller's choice: %v", err)
	}
	if err := DecodeRequest([]byte(`{"url":"u","events":["file.deleted"],"everything":true,"note":"n"}`), &c); err != nil || !c.Everything || *c.Note != "n" {
		t.Errorf("%+v, %v", c, err)
	}
	for want, v := range map[string]any{
		`{"webhooks":[]}`: WebhookList{},
		`{"secret":"s","webhook":{"id":"3","owner":"o","everything":false,"url":"u","events":[],"note":null,"created_at":"0001-01-01T00:00:00.000Z",` +
			`"pending":0,"dead":0,"delivered":0,"delivered_at":null,"failed_at":null,"error":null,"retry_at":null}}`: CreatedWebhook{Secret: "s", Webhook: Webhook{ID: 3, Owner: "o", URL: "u"}},
	} {
		if b, err := json.Marshal(v); err != nil || string(b) != want {
			t.Errorf("%s, %v", b, err)
		}
	}
}
