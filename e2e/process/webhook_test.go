//go:build servers

package process

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/docs/schema/schematest"
	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// receiver is docs/examples/webhook_receiver.py at work.
type receiver struct {
	*harness.Process
	t       *testing.T
	url     string
	secret  string
	schemas *schematest.Schemas
}

func startReceiver(t *testing.T) *receiver {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatalf("python3 is needed for the receiver of webhooks: %v", err)
	}
	schemas, err := schematest.Load()
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{t: t, secret: filepath.Join(t.TempDir(), "secret"), schemas: schemas}
	r.Process = harness.Start(t, nil, "", python, "../../docs/examples/webhook_receiver.py", "--port", "0", "--secret-file", r.secret)
	listening := regexp.MustCompile(`listening on (\S+)`)
	harness.Eventually(t, "the receiver listens", func() bool {
		found := listening.FindStringSubmatch(r.Stderr())
		if found != nil {
			r.url = "http://" + found[1] + "/hook"
		}
		return found != nil
	})
	return r
}

// received is one message, found genuine.
type received struct {
	ID      string          `json:"id"`
	Message json.RawMessage `json:"message"`
	event   protocol.Event
}

// count is how many messages were genuine so far.
func (r *receiver) count() int { return strings.Count(r.Stdout(), "\n") }

// messages are those that were genuine so far, in the order in which they came.
func (r *receiver) messages() (list []received) {
	r.t.Helper()
	lines := strings.SplitAfter(r.Stdout(), "\n")
	for _, line := range lines[:len(lines)-1] {
		var m received
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			r.t.Fatalf("%q: %v", line, err)
		}
		if err := r.schemas.Check("event.json", m.Message); err != nil {
			r.t.Fatal(err)
		}
		if err := json.Unmarshal(m.Message, &m.event); err != nil {
			r.t.Fatal(err)
		}
		list = append(list, m)
	}
	return list
}

// TestWebhooksOverAKill: a receiver written with Python's standard library
// verifies every event of files that come and go while the daemon is killed and
// started again; each arrives, those of one file in order.
func TestWebhooksOverAKill(t *testing.T) {
	r := startReceiver(t)
	config := filepath.Join(t.TempDir(), "ospd.yaml")
	if err := os.WriteFile(config, []byte("webhooks: {allow_private: true, allow_http: true, any_port: true}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := harness.StartDaemon(t, bin, t.TempDir(), "--config", config)
	var made protocol.CreatedWebhook
	decodeInto(t, d.API(), d.API().JSON("POST", "/v1/webhooks", map[string]any{"url": r.url, "events": protocol.EventKinds()}), http.StatusCreated, &made)

	// Before the receiver knows the secret nothing it gets is genuine.
	if err := os.WriteFile(r.secret, []byte("whsec_AAAA"), 0o600); err != nil {
		t.Fatal(err)
	}
	var tested protocol.WebhookTest
	decodeInto(t, d.API(), d.API().JSON("POST", "/v1/webhooks/"+made.Webhook.ID.String()+"/test", nil), http.StatusOK, &tested)
	if tested.OK || *tested.Status != http.StatusUnauthorized || !strings.Contains(r.Stderr(), "no signature fits") {
		t.Fatalf("%+v: %s", tested, r.Stderr())
	}
	if err := os.WriteFile(r.secret, []byte(made.Secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	want := map[protocol.UID][]protocol.EventKind{}
	comeAndGo := func(files int) {
		api := d.API()
		for i := range files {
			f := api.MustFile(api.PutFile(fmt.Sprintf("file%d", i), []byte(fmt.Sprint("content ", i))), http.StatusCreated)
			want[f.UID] = append(want[f.UID], protocol.EventFileCommitted)
			if i%2 == 0 {
				api.Require(api.JSON("DELETE", "/v1/files/"+f.UID.String(), nil), http.StatusNoContent)
				want[f.UID] = append(want[f.UID], protocol.EventFileDeleted)
			}
		}
	}
	for range 3 {
		before := r.count()
		comeAndGo(40)
		harness.Eventually(t, "some of them arrive", func() bool { return r.count() > before })
		d.Kill()
		t.Logf("%d had arrived at the kill", r.count())
		d.Start()
	}
	total := 0
	for _, kinds := range want {
		total += len(kinds)
	}
	harness.Eventually(t, "all events arrive", func() bool { return r.count() >= total })

	got, ids := map[protocol.UID][]protocol.EventKind{}, map[string]bool{}
	for _, m := range r.messages() {
		if ids[m.ID] {
			t.Errorf("the receiver printed %s twice", m.ID)
		}
		ids[m.ID] = true
		got[*m.event.Data.UID] = append(got[*m.event.Data.UID], m.event.Type)
	}
	for uid, kinds := range want {
		if fmt.Sprint(got[uid]) != fmt.Sprint(kinds) {
			t.Errorf("of %s arrived %v, want %v", uid, got[uid], kinds)
		}
	}
	if len(ids) != total {
		t.Errorf("%d arrived, %d happened", len(ids), total)
	}
	var after protocol.Webhook
	decodeInto(t, d.API(), d.API().JSON("GET", "/v1/webhooks/"+made.Webhook.ID.String(), nil), http.StatusOK, &after)
	if after.Pending != 0 || after.Dead != 0 {
		t.Errorf("%+v", after)
	}
	stopClean(t, d)
}

// TestWebhookOfAnotherMD5: whoever waits for events hears that chunks of v0 are
// not the file that was said, with the reason, and that nothing else is damaged.
func TestWebhookOfAnotherMD5(t *testing.T) {
	r := startReceiver(t)
	config := "webhooks: {allow_private: true, allow_http: true, any_port: true}\nv0_access: {owner: local, from: [127.0.0.0/8]}\n"
	d := harness.StartDaemon(t, bin, t.TempDir(), "--config", harness.WriteFile(t, "ospd.yaml", []byte(config)))
	var made protocol.CreatedWebhook
	decodeInto(t, d.API(), d.API().JSON("POST", "/v1/webhooks", map[string]any{"url": r.url, "events": protocol.EventKinds()}), http.StatusCreated, &made)
	if err := os.WriteFile(r.secret, []byte(made.Secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	python(t, d, "out_of_order")
	damaged := func() (list []protocol.Event) {
		for _, m := range r.messages() {
			if m.event.Type == protocol.EventContentCorrupt {
				list = append(list, m.event)
			}
		}
		return list
	}
	harness.Eventually(t, "the event arrives", func() bool { return len(damaged()) > 0 })
	if e := damaged()[0].Data; e.UID == nil || e.Digest == nil || e.Reason == nil || *e.Reason != protocol.ReasonMD5Differs {
		t.Errorf("%+v", e)
	}
}
