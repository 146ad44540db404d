package manage

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"hallmark/devices"
	"hallmark/station/auditor"
	"hallmark/station/instance"
	"hallmark/station/operate"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// which has the flags that select certificates.
type which struct {
	registry.Which
	board, serial, since, until string
}

func (w *which) parse() (err error) {
	if w.board != "" {
		if w.BoardID, err = devices.ParseBoardID(w.board); err != nil {
			return fmt.Errorf("--board: %w", err)
		}
	}
	if w.serial != "" {
		octets, err := hex.DecodeString(w.serial)
		if err != nil || len(octets) != len(w.Serial) {
			return fmt.Errorf("--serial %q: want 32 hexadecimal digits", w.serial)
		}
		copy(w.Serial[:], octets)
	}
	if w.Since, err = auditor.ParseTime("--since", w.since); err != nil {
		return err
	}
	if w.Until, err = auditor.ParseTime("--until", w.until); err != nil {
		return err
	}
	if w.IsEmpty() {
		return errors.New("nothing is selected: want --board, --serial, --order, --since or --until")
	}
	return nil
}

func (w *which) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&w.board, "board", "", "of the board with this BoardID")
	flags.StringVar(&w.serial, "serial", "", "the certificate with this serial number (32 hexadecimal digits)")
	flags.StringVar(&w.Order, "order", "", "the certificates of this work order")
	flags.StringVar(&w.since, "since", "", "only certificates from this time on (2026-11-28, or 2026-11-28T07:00:00Z)")
	flags.StringVar(&w.until, "until", "", "only certificates before this time")
}

func (c *Commands) revoke() *cobra.Command {
	var w which
	var ask operate.StatusChange
	var yes bool
	cmd := &cobra.Command{
		Use:   "revoke --board ID|--serial SERIAL|--order ID|--since TIME --reason REASON",
		Short: "Revokes certificates, after a preview; works while the station does",
		Long: `revoke revokes every certificate of the selection that is unresolved, issued, delivered, active or superseded.
It shows them first. For more than one, a person types their number, or the command has --yes. The
station's verifier refuses a revoked certificate at the board's next handshake. A revocation cannot be taken back.
keyCompromise is about the key: all of its certificates are revoked, also those outside of the selection, and the
key gets no certificate any more, also not with --rework. A certificate that was revoked for another reason gets
this reason, and keeps the time of its revocation.

REASON is one of ` + strings.Join(registry.RevocationReasons, ", ") + ` (RFC 5280, 5.3.1).`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := w.parse(); err != nil {
				return reason.Usage(err)
			}
			if err := registry.CheckReason(ask.Reason); err != nil {
				return reason.Usage(fmt.Errorf("--%w", err))
			}
			ask.Which = w.Which
			return c.revokeAll(cmd.Context(), ask, yes)
		},
	}
	w.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&ask.Reason, "reason", "", "why, for the record and for verifiers (required)")
	flags.BoolVar(&yes, "yes", false, "revoke without a question")
	operator(cmd, &ask.Operator)
	return cmd
}

// shownAtMost is the number of certificates that a preview lists.
const shownAtMost = 20

func (c *Commands) revokeAll(ctx context.Context, ask operate.StatusChange, yes bool) error {
	return c.certificateAct(ctx, certificateAct{operate.ActRevoke, "revoke", "certificate", "certificates", func(reader *registry.Reader) ([]registry.Revocable, error) {
		return reader.Revocable(ctx, ask.Which, ask.Reason)
	}, "no certificate of the selection can be revoked; `station certificates list` shows their status"}, ask, yes)
}

// A certificateAct is what a command does to the certificates of a selection.
type certificateAct struct {
	act, verb, one, many string
	list                 func(*registry.Reader) ([]registry.Revocable, error)
	none                 string
}

// certificateAct shows the certificates, asks a person, and does the act.
func (c *Commands) certificateAct(ctx context.Context, a certificateAct, ask operate.StatusChange, yes bool) error {
	number := 0
	err := c.Reader.WithReader(ctx, func(_ workdir.Dir, reader *registry.Reader) error {
		all, err := a.list(reader)
		if err != nil {
			return err
		}
		number, ask.Seen = len(all), registry.SeenOf(all)
		return c.preview(len(all), func(i int) string {
			r := all[i]
			return fmt.Sprintf("%x  board %s  %s  %s  %s", r.Serial, r.BoardID, r.Purpose, r.Status, r.Order)
		})
	})
	switch {
	case err != nil:
		return err
	case number == 0:
		return reason.Usage(errors.New(a.none))
	case number > 1:
		if err := c.askedFor(number, a.verb+" "+reason.Count(number, a.one, a.many), yes); err != nil {
			return err
		}
	}
	return c.do(ctx, a.act, ask)
}

func (c *Commands) crl() *cobra.Command {
	var ask operate.Signing
	cmd := &cobra.Command{
		Use:   "crl",
		Short: "Signs a list of the revoked certificates (CRL); works while the station does",
		Long: `crl signs a full certificate revocation list (RFC 5280) with the key of the issuing CA in the HSM, and writes it as
DER to pki/issuing.crl of the station directory, in one step. The list has the revoked certificates, the
superseded ones, and those of scrapped boards. Its number grows with each list. Publish it before the
time in "next update": afterwards, verifiers refuse it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.do(cmd.Context(), operate.ActCRL, ask) },
	}
	cmd.Flags().IntVar(&ask.Days, "days", 7, fmt.Sprintf("days until the next list, %d to %d", instance.MinCRLDays, instance.MaxCRLDays))
	operator(cmd, &ask.Operator)
	return cmd
}

func (c *Commands) prove() *cobra.Command {
	var ask operate.ProofRequest
	cmd := &cobra.Command{
		Use:   "prove --code TEXT",
		Short: "Proves to a cloud that the issuing CA is yours; works while the station does",
		Long: `prove signs a verification certificate with the issuing CA and prints it as PEM. Its common name is the code that the cloud
shows: the registration code of AWS IoT, the verification code of Azure DPS. It is valid for two days. Its key is
forgotten at once, so nobody can connect with it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.do(cmd.Context(), operate.ActProve, ask) },
	}
	cmd.Flags().StringVar(&ask.Code, "code", "", "code that the cloud shows, 1 to 64 characters (required)")
	operator(cmd, &ask.Operator)
	return cmd
}

func (c *Commands) renewOCSP() *cobra.Command {
	var ask operate.Signing
	cmd := &cobra.Command{
		Use:   "renew-ocsp",
		Short: "Certifies the key that signs OCSP answers; works while the station does",
		Long: `renew-ocsp has the issuing CA in the HSM sign a certificate for the key of the OCSP responder (RFC 6960, 4.2.2.2):
pki/ocsp.pem, for pki/ocsp.key. If there is no key, the command makes one, in a file that only the user of the station
can read. So ` + "`station serve`" + ` needs neither HSM nor PIN; a server that runs takes the new certificate by itself.
Nobody can revoke this certificate, so it is valid for a short time. It does not outlive the issuing CA.
To change the key, remove both files first.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.do(cmd.Context(), operate.ActRenewOCSP, ask) },
	}
	cmd.Flags().IntVar(&ask.Days, "days", 30, fmt.Sprintf("days until the certificate ends, %d to %d", instance.MinOCSPDays, instance.MaxOCSPDays))
	operator(cmd, &ask.Operator)
	return cmd
}
