package webhook

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// Records is what a Service needs of the metadata; meta.DB is the one.
type Records interface {
	CreateWebhook(ctx context.Context, w meta.Webhook) (meta.Webhook, error)
	Webhooks(ctx context.Context, owner protocol.Owner) ([]meta.Webhook, error)
	Webhook(ctx context.Context, owner protocol.Owner, id protocol.WebhookID) (meta.Webhook, error)
	RemoveWebhook(ctx context.Context, owner protocol.Owner, id protocol.WebhookID) error
	ReplayDeliveries(ctx context.Context, owner protocol.Owner, id protocol.WebhookID, limit int) (int64, error)
	FanOut(ctx context.Context) (more bool, lost int64, err error)
	DueDeliveries(ctx context.Context, id protocol.WebhookID, limit int) (meta.Webhook, []meta.Delivery, error)
	Delivered(ctx context.Context, d meta.Delivery) error
	DeliveryFailed(ctx context.Context, d meta.Delivery, f meta.DeliveryFailure) (rests bool, err error)
	NotifyLater(ctx context.Context, id protocol.WebhookID) error
}

// Config is what a Service needs.
type Config struct {
	Meta   Records
	Sender *Sender
	Guard  Guard
	// GiveUpAfter is how long an event is tried, 3 days when 0.
	GiveUpAfter time.Duration
	// Observe is told what became of each sending: "delivered", "failed" or
	// "dead". It may be nil.
	Observe func(outcome string)
	// Clock is time.Now when nil, Logger slog.Default().
	Clock  func() time.Time
	Logger *slog.Logger
}

// Service knows the webhooks there are and sends them what they want. Its
// methods are safe for concurrent use.
type Service struct {
	cfg Config
	log *slog.Logger
}

// DefaultGiveUpAfter is how long an event is tried where nobody says otherwise.
const DefaultGiveUpAfter = 3 * 24 * time.Hour

// New makes a Service.
func New(cfg Config) *Service {
	if cfg.GiveUpAfter <= 0 {
		cfg.GiveUpAfter = DefaultGiveUpAfter
	}
	if cfg.Observe == nil {
		cfg.Observe = func(string) {}
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return &Service{cfg: cfg, log: cfg.Logger}
}

// Caller is who asks about webhooks.
type Caller = meta.Caller

// Create makes a webhook of the caller's, and gives its secret, once.
// KindBadRequest: a url that may not be one, kinds that do not exist.
// KindForbidden: everything, for who reaches not all.
func (s *Service) Create(ctx context.Context, c Caller, n protocol.CreateWebhook) (made protocol.CreatedWebhook, err error) {
	note := ""
	if n.Note != nil {
		note = *n.Note
	}
	if err := protocol.CheckTokenNote(note); err != nil {
		return made, err
	}
	if err := protocol.CheckEventKinds(n.Events); err != nil {
		return made, err
	}
	if err := s.cfg.Guard.CheckURL(n.URL); err != nil {
		return made, err
	}
	if n.Everything && !c.All {
		return made, &protocol.Error{Kind: protocol.KindForbidden, Message: "only who runs the installation may get the events of all owners; nothing was changed",
			Hint: "Leave everything out, or use a token with the scope admin."}
	}
	secret := NewSecret()
	w, err := s.cfg.Meta.CreateWebhook(ctx, meta.Webhook{Owner: c.Owner, Everything: n.Everything, URL: n.URL, Secret: secret, Kinds: n.Events, Note: note})
	if err != nil {
		return made, err
	}
	s.log.Info("a webhook was made", "webhook", w.ID, "owner", w.Owner, "everything", w.Everything)
	return protocol.CreatedWebhook{Secret: SecretText(secret), Webhook: onWire(w)}, nil
}

// List gives the webhooks that the caller reaches.
func (s *Service) List(ctx context.Context, c Caller) (l protocol.WebhookList, err error) {
	list, err := s.cfg.Meta.Webhooks(ctx, c.Reach())
	for _, w := range list {
		l.Webhooks = append(l.Webhooks, onWire(w))
	}
	return l, err
}

// Webhook gives one; KindNotFound where the caller reaches none of that id.
func (s *Service) Webhook(ctx context.Context, c Caller, id protocol.WebhookID) (protocol.Webhook, error) {
	w, err := s.cfg.Meta.Webhook(ctx, c.Reach(), id)
	return onWire(w), err
}

// Remove ends one.
func (s *Service) Remove(ctx context.Context, c Caller, id protocol.WebhookID) error {
	err := s.cfg.Meta.RemoveWebhook(ctx, c.Reach(), id)
	if err == nil {
		s.log.Info("a webhook was removed", "webhook", id)
	}
	return err
}

// replayBatch bounds what one transaction brings back.
const replayBatch = 500

// Replay has what was given up sent again.
func (s *Service) Replay(ctx context.Context, c Caller, id protocol.WebhookID) (r protocol.WebhookReplay, err error) {
	for n := int64(replayBatch); n == replayBatch; r.Replayed += n {
		if n, err = s.cfg.Meta.ReplayDeliveries(ctx, c.Reach(), id, replayBatch); err != nil {
			return r, err
		}
	}
	return r, nil
}

// Test sends a message of no consequence, now, and tells what became of it.
func (s *Service) Test(ctx context.Context, c Caller, id protocol.WebhookID) (t protocol.WebhookTest, err error) {
	w, err := s.cfg.Meta.Webhook(ctx, c.Reach(), id)
	if err != nil {
		return t, err
	}
	now := s.cfg.Clock()
	e := protocol.Event{Type: protocol.EventTest, Timestamp: protocol.TimeOf(now), Data: protocol.EventData{Owner: &w.Owner}}
	status, err := s.cfg.Sender.Send(ctx, w.URL, Message{ID: fmt.Sprintf("msg_%s_test_%d", w.ID, now.UnixNano()), Secret: w.Secret, Body: e.Encode()})
	if ctx.Err() != nil {
		return t, ctx.Err()
	}
	t.OK, t.ElapsedMS = err == nil, s.cfg.Clock().Sub(now).Milliseconds()
	if status != 0 {
		t.Status = &status
	}
	if err != nil {
		said := err.Error()
		t.Error = &said
	}
	return t, nil
}

// onWire is a webhook as the wire has it, without its secret.
func onWire(w meta.Webhook) protocol.Webhook {
	p := protocol.Webhook{ID: w.ID, Owner: w.Owner, Everything: w.Everything, URL: w.URL, Events: w.Kinds, CreatedAt: protocol.TimeOf(w.CreatedAt),
		Pending: w.Pending, Dead: w.Dead, Delivered: w.Delivered, DeliveredAt: timeOf(w.DeliveredAt), FailedAt: timeOf(w.FailedAt), RetryAt: timeOf(w.RetryAt)}
	if w.Note != "" {
		p.Note = &w.Note
	}
	if w.Error != "" {
		p.Error = &w.Error
	}
	return p
}

func timeOf(t *time.Time) *protocol.Time {
	if t == nil {
		return nil
	}
	w := protocol.TimeOf(*t)
	return &w
}
