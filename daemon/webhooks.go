package daemon

import (
	"time"

	"github.com/osproxy/osproxy/daemon/webhook"
)

// WebhooksConfig is where webhooks may lead, and how long they are tried. Owners
// choose the addresses, and the daemon sends from where it stands: what is not
// allowed here is not reached.
type WebhooksConfig struct {
	// AllowPrivate allows addresses of this machine and of private networks.
	AllowPrivate bool `koanf:"allow_private"`
	// AllowHTTP allows http beside https.
	AllowHTTP bool `koanf:"allow_http"`
	// AnyPort allows ports other than 443 and 8443.
	AnyPort bool `koanf:"any_port"`
	// GiveUpAfter is how long an event is tried.
	GiveUpAfter time.Duration `koanf:"give_up_after"`
}

// webhooks makes what knows them and sends to them.
func (d *Daemon) webhooks(version string, observe func(outcome string)) *webhook.Service {
	c := d.cfg.Webhooks
	guard := webhook.Guard{AllowPrivate: c.AllowPrivate, AllowHTTP: c.AllowHTTP, AnyPort: c.AnyPort}
	d.sender = webhook.NewSender(webhook.SenderConfig{Guard: guard, Version: version})
	return webhook.New(webhook.Config{Meta: d.in.DB, Sender: d.sender, Guard: guard, GiveUpAfter: c.GiveUpAfter, Observe: observe, Logger: d.log})
}
