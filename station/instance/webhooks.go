package instance

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"hallmark/configs"
	"hallmark/station/outbox"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/webhook"
)

// webhookGrace is how long the end of a station waits for receivers that took all before.
const webhookGrace = 5 * time.Second

// webhookConfig reads the files of a webhook.
func webhookConfig(w *configs.Webhook) (c webhook.Config, err error) {
	c = webhook.Config{Name: w.Name, URL: w.URL, Endings: w.Endings}
	if c.Secret, err = webhook.ReadSecret(w.SecretFile); err == nil {
		c.CAs, err = readCAs(w.CA)
	}
	if err != nil {
		return c, reason.Usage(fmt.Errorf("webhook %s: %w", w.Name, err))
	}
	return c, nil
}

// openOutboxes opens the outbox of each webhook.
func (f *Files) openOutboxes(ctx context.Context, source webhook.Source) (all []*webhook.Outbox, err error) {
	for i := range f.Config.Webhooks {
		c, err := webhookConfig(&f.Config.Webhooks[i])
		var outbox *webhook.Outbox
		if err == nil {
			outbox, err = webhook.Open(ctx, f.Dir, source, c, f.Log)
		}
		if err != nil {
			for _, open := range all {
				err = errors.Join(err, open.Close())
			}
			return nil, err
		}
		all = append(all, outbox)
	}
	return all, nil
}

// startWebhooks begins to tell receivers of the Runs that end, until Close.
func (i *Instance) startWebhooks(ctx context.Context) error {
	outboxes, err := i.openOutboxes(ctx, i.Registry)
	for _, outbox := range outboxes {
		sender := webhook.Start(outbox)
		i.senders = append(i.senders, sender)
	}
	if len(i.senders) > 0 {
		i.OnClose(i.endWebhooks)
	}
	return err
}

// endWebhooks ends all senders at once, so that one that is slow takes no time of the others.
func (i *Instance) endWebhooks() error {
	ended := make(chan error)
	for _, sender := range i.senders {
		go func() { ended <- sender.End(webhookGrace) }()
	}
	var err error
	for range i.senders {
		err = errors.Join(err, <-ended)
	}
	return err
}

// A Delivery says what a webhook has taken.
type Delivery struct {
	Name, URL string
	Waiting   int
	Oldest    time.Time // when the Run ended that waits longest; the zero time if none waits
	Err       error     // why the newest try ended early; nil: nobody tried, or the receiver took all
}

// Deliveries says of each webhook how many endings wait. With send it sends them first.
func (f *Files) Deliveries(ctx context.Context, reader *registry.Reader, send bool) (all []Delivery, err error) {
	if send {
		return f.deliver(ctx, reader)
	}
	for _, w := range f.Config.Webhooks {
		next, err := webhook.Taken(webhook.Path(f.Dir, w.Name))
		if errors.Is(err, fs.ErrNotExist) { // the next start begins with the endings from then on
			next, err = reader.LogSize(ctx)
		}
		d := Delivery{Name: w.Name, URL: w.URL}
		if d.Waiting, d.Oldest, err = webhook.Waiting(ctx, reader, next, w.Endings, err); err != nil {
			return all, fmt.Errorf("webhook %s: %w", w.Name, err)
		}
		all = append(all, d)
	}
	return all, nil
}

func (f *Files) deliver(ctx context.Context, reader *registry.Reader) (all []Delivery, err error) {
	outboxes, err := f.openOutboxes(ctx, reader)
	if err != nil {
		return nil, err
	}
	for i, outbox := range outboxes {
		d := Delivery{Name: f.Config.Webhooks[i].Name, URL: f.Config.Webhooks[i].URL}
		_, d.Err = outbox.Flush(ctx)
		var bad error
		d.Waiting, d.Oldest, bad = outbox.Waiting(ctx)
		err = errors.Join(err, bad, outbox.Close())
		all = append(all, d)
	}
	return all, err
}

// unsent gives the first entry that a webhook or the hub may still need, and who that is; empty: nobody needs any.
func (f *Files) unsent() (next int64, name string, err error) {
	if f.Config.Hub.URL != "" {
		name = "the hub"
		if next, _, err = outbox.Remembered(f.Dir); err != nil {
			return 0, "", fmt.Errorf("hub: %w", err)
		}
	}
	for _, w := range f.Config.Webhooks {
		taken, bad := webhook.Taken(webhook.Path(f.Dir, w.Name))
		if bad != nil {
			return 0, "", fmt.Errorf("webhook %s: %w", w.Name, bad) // the start has made the file
		}
		if name == "" || taken < next {
			next, name = taken, "the webhook "+w.Name
		}
	}
	return next, name, nil
}

// WebhookWarning says which receivers do not take the endings, and why. It is empty while all do.
func (i *Instance) WebhookWarning() string {
	var failing []string
	for n, sender := range i.senders {
		if err := sender.Err(); err != nil {
			failing = append(failing, i.Config.Webhooks[n].Name+": "+reason.OneLine(err))
		}
	}
	return strings.Join(failing, "; ")
}
