package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// TestWebhooksOfOwners: who sees and reaches which, and that a secret is shown
// once.
func TestWebhooksOfOwners(t *testing.T) {
	o := startOspd(t)
	alice, bob, root := o.as("alice", protocol.ScopeWebhookManage), o.as("bob", protocol.ScopeWebhookManage), o.as("root", protocol.ScopeAdmin)
	made := into[protocol.CreatedWebhook](t, alice.do(http.MethodPost, "/v1/webhooks", newWebhook), http.StatusCreated)
	if made.Webhook.Owner != "alice" || !strings.HasPrefix(made.Secret, "whsec_") {
		t.Errorf("%+v", made)
	}
	everything := strings.Replace(newWebhook, "{", `{"everything": true, `, 1)
	alice.do(http.MethodPost, "/v1/webhooks", everything).problem(t, protocol.KindForbidden)
	all := into[protocol.CreatedWebhook](t, root.do(http.MethodPost, "/v1/webhooks", everything), http.StatusCreated).Webhook
	for who, want := range map[*ospd]int{alice: 1, bob: 0, root: 2} {
		a := who.do(http.MethodGet, "/v1/webhooks", "")
		if list := into[protocol.WebhookList](t, a, http.StatusOK); len(list.Webhooks) != want {
			t.Errorf("%+v, want %d", list, want)
		}
		if strings.Contains(string(a.body), "secret") {
			t.Errorf("a list tells secrets: %s", a.body)
		}
	}
	path := "/v1/webhooks/" + made.Webhook.ID.String()
	bob.do(http.MethodGet, path, "").problem(t, protocol.KindNotFound)
	alice.do(http.MethodGet, "/v1/webhooks/"+all.ID.String(), "").problem(t, protocol.KindNotFound)
	tested := into[protocol.WebhookTest](t, root.do(http.MethodPost, path+"/test", ""), http.StatusOK)
	if tested.OK || tested.Error == nil || strings.Contains(*tested.Error, "127.0.0.1") {
		t.Errorf("%+v", tested)
	}
	if a := root.do(http.MethodDelete, path, ""); a.StatusCode != http.StatusNoContent {
		t.Errorf("%s", a.Status)
	}
	alice.do(http.MethodGet, path, "").problem(t, protocol.KindNotFound)
}

func TestWebhookRequestsThatAreWrong(t *testing.T) {
	o := startOspd(t)
	for body, kind := range map[string]protocol.Kind{
		``:   protocol.KindBadRequest,
		`{}`: protocol.KindBadRequest,
		`{"url": "https://127.0.0.1:1/", "events": []}`:                                protocol.KindBadRequest,
		`{"url": "https://127.0.0.1:1/", "events": ["x"]}`:                             protocol.KindBadRequest,
		`{"url": "gopher://127.0.0.1:1/", "events": ["file.deleted"]}`:                 protocol.KindBadRequest,
		`{"url": "https://127.0.0.1:1/", "events": ["file.deleted"], "secret": "abc"}`: protocol.KindUnknownField,
	} {
		o.do(http.MethodPost, "/v1/webhooks", body).problem(t, kind)
	}
	for _, id := range []string{"0", "01", "x", "-1"} {
		o.do(http.MethodGet, "/v1/webhooks/"+id, "").problem(t, protocol.KindBadRequest)
	}
	o.do(http.MethodGet, "/v1/webhooks/7", "").problem(t, protocol.KindNotFound)
}
