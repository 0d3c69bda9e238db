package protocol

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// WebhookID names a webhook: decimal text on the wire, a string in JSON, counted
// from 1.
type WebhookID int64

// ParseWebhookID reads the one spelling a WebhookID has; it is that of a UID.
func ParseWebhookID(s string) (WebhookID, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || s[0] == '0' || s[0] == '+' {
		return 0, &Error{Kind: KindBadRequest, Message: fmt.Sprintf("%.40q is not the id of a webhook", s),
			Hint: "An id is a number without leading zeros, as `osp admin webhooks list` prints it."}
	}
	return WebhookID(n), nil
}

// String is the decimal spelling.
func (id WebhookID) String() string { return strconv.FormatInt(int64(id), 10) }

// MarshalText makes a WebhookID a string in JSON.
func (id WebhookID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText accepts what ParseWebhookID accepts.
func (id *WebhookID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseWebhookID(string(b))
	return err
}

// MaxWebhooks bounds the webhooks of one owner.
const MaxWebhooks = 20

// Webhook is an address to which events are sent.
type Webhook struct {
	ID    WebhookID `json:"id"`
	Owner Owner     `json:"owner"`
	// Everything: it gets the events of all owners, and those of none.
	Everything bool        `json:"everything"`
	URL        string      `json:"url"`
	Events     []EventKind `json:"events"`
	Note       *string     `json:"note"`
	CreatedAt  Time        `json:"created_at"`

	// Pending counts events that are on their way, Dead those that were given
	// up and wait for a replay, Delivered those that arrived.
	Pending   int64 `json:"pending"`
	Dead      int64 `json:"dead"`
	Delivered int64 `json:"delivered"`
	// DeliveredAt is when something arrived last, FailedAt when something did
	// not, and Error why.
	DeliveredAt *Time   `json:"delivered_at"`
	FailedAt    *Time   `json:"failed_at"`
	Error       *string `json:"error"`
	// RetryAt is until when nothing is sent, since too much failed in a row.
	RetryAt *Time `json:"retry_at"`
}

// MarshalJSON makes nil Events an empty list.
func (w Webhook) MarshalJSON() ([]byte, error) {
	type plain Webhook
	w.Events = list(w.Events)
	return json.Marshal(plain(w))
}

// CreateWebhook asks for a webhook (POST /v1/webhooks). URL and Events are
// required. The answer is 201 with a CreatedWebhook.
type CreateWebhook struct {
	URL    string      `json:"url"`
	Events []EventKind `json:"events"`
	// Everything asks for the events of all owners, which needs ScopeAdmin.
	Everything bool    `json:"everything"`
	Note       *string `json:"note"`
}

// CreatedWebhook is the one answer that has the secret.
type CreatedWebhook struct {
	// Secret is what the receiver checks signatures with.
	Secret  string  `json:"secret"`
	Webhook Webhook `json:"webhook"`
}

// WebhookList is the answer of GET /v1/webhooks, by id.
type WebhookList struct {
	Webhooks []Webhook `json:"webhooks"`
}

// MarshalJSON makes nil Webhooks an empty list.
func (l WebhookList) MarshalJSON() ([]byte, error) {
	type plain WebhookList
	l.Webhooks = list(l.Webhooks)
	return json.Marshal(plain(l))
}

// WebhookTest is the answer of POST /v1/webhooks/{id}/test: what became of a
// message of type EventTest that was sent at once.
type WebhookTest struct {
	OK bool `json:"ok"`
	// Status is what the endpoint answered, nil where it did not.
	Status *int `json:"status"`
	// Error says why it did not arrive.
	Error     *string `json:"error"`
	ElapsedMS int64   `json:"elapsed_ms"`
}

// EventTest is the type of the message that a test sends. Nothing happened, and
// nobody can subscribe to it.
const EventTest EventKind = "webhook.test"

// WebhookReplay is the answer of POST /v1/webhooks/{id}/replay.
type WebhookReplay struct {
	// Replayed is how many events that were given up are on their way again.
	Replayed int64 `json:"replayed"`
}
