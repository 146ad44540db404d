package instance

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"time"

	"hallmark/devices"
	"hallmark/station/audit"
	"hallmark/station/outbox"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
	"hallmark/station/workorder"
)

// ErrHubStops: a finding of the hub keeps the station from beginning a Run.
var ErrHubStops = reason.New("hub-stops", "a finding of the hub stops this station")

// hubGrace is how long the end of a station waits for a hub that took all before.
const hubGrace = 5 * time.Second

// hubOperator stands for the hub in entries.
const hubOperator = "hub"

// startHub begins to send the audit log to the hub of the plant, until Close.
func (i *Instance) startHub() error {
	if i.Config.Hub.URL == "" {
		return nil
	}
	config, err := i.hubConfig()
	if err != nil {
		return err
	}
	opened, err := outbox.Open(i.Dir, i.Registry, config, outbox.Handlers{Order: i.takeOrder, Finding: i.takeFinding}, i.Log)
	if err != nil {
		return err
	}
	i.hub = outbox.Start(opened)
	i.OnClose(func() error { return i.hub.End(hubGrace) })
	return nil
}

func (f *Files) hubConfig() (c outbox.Config, err error) {
	c.URL = f.Config.Hub.URL
	if c.CAs, err = readCAs(f.Config.Hub.CA); err != nil {
		return c, reason.Usage(fmt.Errorf("hub: %w", err))
	}
	if !workdir.Exists(f.Dir.Hub()) {
		return c, reason.Usage(fmt.Errorf("hub: %s is missing: `station renew-hub` makes it", f.Dir.Hub()))
	}
	if err := workdir.Private(f.Dir.HubKey()); err != nil {
		return c, err
	}
	if c.Certificate, err = tls.LoadX509KeyPair(f.Dir.Hub(), f.Dir.HubKey()); err != nil {
		return c, reason.Usage(fmt.Errorf("hub: %s: %w", f.Dir.Hub(), err))
	}
	if c.Certificate.Leaf != nil && !f.Now().Before(c.Certificate.Leaf.NotAfter) {
		f.Log.Warn("the certificate for the hub has ended; `station renew-hub` makes a new one", "file", f.Dir.Hub())
	}
	c.Certificate.Certificate = append(c.Certificate.Certificate, f.Issuing.Raw) // the hub has the root
	return c, nil
}

// takeOrder opens or revises a work order by a lease of the hub. A lease that was taken before is no error. What has begun ends also when the station ends
// meanwhile: an order without its checkpoint would keep the next start from going on.
func (i *Instance) takeOrder(ctx context.Context, o outbox.Order) error {
	_, err := i.ImportOrder(context.WithoutCancel(ctx), workorder.Signed{File: o.File, Signature: o.Signature}, hubOperator)
	if errors.Is(err, registry.ErrOrderReplayed) || errors.Is(err, registry.ErrOrderRevision) {
		return nil
	}
	if err != nil {
		return err
	}
	return i.Checkpoint() // at the end of a station nobody else signs any more
}

// takeFinding notes a finding, and puts its board on hold if the configuration says so. It ends as takeOrder does.
func (i *Instance) takeFinding(ctx context.Context, f outbox.Finding) error {
	ctx = context.WithoutCancel(ctx)
	i.Log.Warn("the hub has a finding about this station", "number", f.ID, "kind", f.Kind, "board", f.Board, "text", f.Text)
	details := map[string]string{"number": fmt.Sprint(f.ID), "finding": f.Kind, "subject": f.Subject, "text": f.Text}
	if f.Board != "" {
		details["board"] = f.Board
	}
	if err := i.NoteBy(ctx, "hub.finding", audit.Denied, "", details); err != nil {
		return err
	}
	if f.Board == "" || !slices.Contains(i.Config.Hub.Hold, f.Kind) {
		return nil
	}
	id, err := devices.ParseBoardID(f.Board)
	if err != nil {
		return nil // the hub names no board of this station
	}
	which := registry.Which{BoardID: id}
	boards, err := i.Registry.Holdable(ctx, which, false)
	if err != nil || len(boards) == 0 {
		return err
	}
	if _, err = i.Registry.Hold(ctx, which, registry.SeenBoards(boards), "the hub found "+f.Kind, hubOperator); err != nil {
		return err
	}
	return i.Checkpoint()
}

// HubStops says for which finding of the hub the station begins no Run; nil: there is none. The findings stay over a restart, also without a link.
func (i *Instance) HubStops() error {
	if i.hub == nil {
		return nil
	}
	for _, f := range i.hub.Findings() {
		if slices.Contains(i.Config.Hub.Stop, f.Kind) {
			return fmt.Errorf("%w: finding %d, %s: %s", ErrHubStops, f.ID, f.Kind, reason.Printable(f.Text))
		}
	}
	return nil
}

// HubWarning says why the hub does not have the audit log, or what it found. It is empty while all is well.
func (i *Instance) HubWarning() string {
	if i.hub == nil {
		return ""
	}
	if err := i.hub.Err(); err != nil {
		return reason.OneLine(err)
	}
	if findings := i.hub.Findings(); len(findings) > 0 {
		return reason.Count(len(findings), "finding", "findings") + " of the hub about this station: see `station hub`"
	}
	return ""
}

// HubState says how many entries the hub has not taken, and what it found, as the station remembers.
func HubState(ctx context.Context, dir workdir.Dir, reader *registry.Reader) (waiting int64, findings []outbox.Finding, err error) {
	taken, findings, err := outbox.Remembered(dir)
	if err != nil {
		return 0, nil, err
	}
	size, err := reader.LogSize(ctx)
	return max(0, size-taken), findings, err
}
