package manage

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hallmark/station/operate"
	"hallmark/station/reason"
	"hallmark/station/workdir"
	"hallmark/station/workorder"
)

// This file has the commands for order files, which the owner of a product signs, and for closures, which a station signs. Signing and
// checking an order needs no station directory and no HSM.

func (c *Commands) sign() *cobra.Command {
	var key, out string
	cmd := &cobra.Command{
		Use:   "sign ORDER.yaml --key KEY --out FILE",
		Short: "Signs an order file as the owner of the product; needs no station",
		Long: `sign checks an order file, adds a line with the SHA-256 of the owner's public key, and writes FILE and FILE.sig, its
signature (ECDSA with SHA-256, DER). KEY is a private key on the curve P-256, in PEM, as
` + "`openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`" + ` makes it. Anybody checks the signature with openssl:

    openssl dgst -sha256 -verify owner.pub -signature FILE.sig FILE

A key in an HSM signs with pkcs11-tool; docs/orders.md shows how.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if key == "" || out == "" {
				return reason.Usage(errors.New("--key and --out are missing: name the owner's private key and the file to write"))
			}
			return c.signOrder(args[0], key, out)
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "file with the private key of the owner (required)")
	cmd.Flags().StringVar(&out, "out", "", "the signed file; its signature gets this name with .sig (required)")
	return cmd
}

func (c *Commands) signOrder(path, key, out string) error {
	text, err := workdir.ReadInput(path, workorder.MaxFile)
	if err != nil {
		return reason.Usage(fmt.Errorf("reading the order file: %w", err))
	}
	private, err := workdir.ReadPrivateKey(key)
	if err != nil {
		return reason.Usage(fmt.Errorf("--key: %w", err))
	}
	signed, order, err := workorder.Sign(path, text, private, rand.Reader, time.Now())
	if err != nil {
		return err
	}
	if err := writePair(out, signed.File, workorder.SignatureSuffix, signed.Signature); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.Stdout, "%s\n%s and %s%s are written; a station needs both\n", orderText(order), out, out, workorder.SignatureSuffix)
	return err
}

func (c *Commands) check() *cobra.Command {
	var owners []string
	cmd := &cobra.Command{
		Use:   "check FILE --owner KEY",
		Short: "Checks an order file that an owner has signed; needs no station",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(owners) == 0 {
				return reason.Usage(errors.New("--owner is missing: name the owner's public key"))
			}
			return c.checkOrder(args[0], owners)
		},
	}
	cmd.Flags().StringArrayVar(&owners, "owner", nil, "file with the public key of an owner (PEM); may be given more than once (required)")
	return cmd
}

func (c *Commands) checkOrder(path string, files []string) error {
	var owners []workorder.Owner
	for _, file := range files {
		text, err := workdir.ReadInput(file, workdir.MaxFile)
		if err != nil {
			return reason.Usage(fmt.Errorf("--owner: %w", err))
		}
		owner, err := workorder.ParseOwner(text)
		if err != nil {
			return reason.Usage(fmt.Errorf("--owner: %s: %w", file, err))
		}
		owners = append(owners, owner)
	}
	signed, err := readSigned(path)
	if err != nil {
		return err
	}
	order, _, err := signed.Verify(path, owners)
	if err != nil {
		return reason.Usage(err)
	}
	ended := ""
	if !order.Until.After(time.Now()) {
		ended = "; the order has ended, and no station takes it any more"
	}
	_, err = fmt.Fprintf(c.Stdout, "%s\nthe owner has signed this file%s\n", orderText(order), ended)
	return err
}

// readSigned reads an order file and its signature.
func readSigned(path string) (s workorder.Signed, err error) {
	if s.File, err = workdir.ReadInput(path, workorder.MaxFile); err != nil {
		return s, reason.Usage(fmt.Errorf("reading the order file: %w", err))
	}
	if s.Signature, err = workdir.ReadInput(path+workorder.SignatureSuffix, workorder.MaxFile); err != nil {
		return s, reason.Usage(fmt.Errorf("reading the signature, which lies beside the order file: %w", err))
	}
	return s, nil
}

// orderText is an order file for people.
func orderText(o *workorder.Order) string {
	var text strings.Builder
	fact := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&text, "%-12s%s\n", name, value)
		}
	}
	fact("work order", fmt.Sprintf("%s, revision %d", o.ID, o.Revision))
	fact("product", o.Product)
	fact("lot", o.Lot)
	fact("quota", reason.Count(o.Quota, "board", "boards"))
	for _, share := range o.Shares {
		name, key, _ := strings.Cut(share.Station, "+") // several stations may have one name, and the hash of the key tells them apart
		hash, _, _ := strings.Cut(key, "+")
		fact("share", reason.Count(share.Boards, "board", "boards")+" for "+reason.Printable(name+"+"+hash))
	}
	if !o.NotBefore.IsZero() {
		fact("not before", o.NotBefore.Format(time.RFC3339))
	}
	fact("valid until", o.Until.Format(time.RFC3339))
	for _, sum := range o.Profiles {
		fact("profile", fmt.Sprintf("%x", sum))
	}
	for _, sum := range o.Firmware {
		fact("firmware", fmt.Sprintf("%x", sum))
	}
	fact("owner", fmt.Sprintf("%x", o.Owner))
	fact("file", fmt.Sprintf("%x", o.SHA256))
	return strings.TrimSuffix(text.String(), "\n")
}

// writePair writes a file and its signature. Both are new, or have this content already.
func writePair(path string, file []byte, suffix string, signature []byte) error {
	for _, one := range []struct {
		path    string
		content []byte
	}{{path, file}, {path + suffix, signature}} {
		_, err := workdir.WriteNew(one.path, func(w io.Writer) error { _, err := w.Write(one.content); return err })
		if err != nil {
			return err
		}
	}
	return nil
}

// importFile opens or revises a work order by a signed file.
func (c *Commands) importFile(ctx context.Context, path, operator string) error {
	signed, err := readSigned(path)
	if err != nil {
		return err
	}
	return c.do(ctx, operate.ActImportOrder, operate.OrderFile{File: signed.File, Signature: signed.Signature, Operator: operator})
}

func (c *Commands) closure() *cobra.Command {
	var ask operate.ClosureRequest
	var out string
	cmd := &cobra.Command{
		Use:   "closure --id ID --out FILE",
		Short: "Signs what became of a closed work order, for its owner; works while the station does",
		Long: `closure writes FILE, what became of the boards of a closed work order (JSON), and FILE.p7s, its signature by the audit key. The
owner checks both with the root certificate of the station alone:

    openssl cms -verify -binary -inform DER -in FILE.p7s -content FILE -CAfile root.pem -out /dev/null`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if ask.ID == "" {
				return errNoID
			}
			if out == "" {
				return reason.Usage(errors.New("--out is missing: name the file to write"))
			}
			if err := c.mayWriteClosure(out); err != nil {
				return err
			}
			return c.writeClosure(cmd.Context(), ask, out)
		},
	}
	cmd.Flags().StringVar(&ask.ID, "id", "", "name of the work order (required)")
	cmd.Flags().StringVar(&out, "out", "", "file to write; its signature gets this name with .p7s (required)")
	operator(cmd, &ask.Operator)
	return cmd
}

var errClosureExists = errors.New("the file exists; name a new one")

// mayWriteClosure refuses a file that exists or that the station uses, before anything is done.
func (c *Commands) mayWriteClosure(path string) error {
	dir, err := workdir.Existing(*c.Dir)
	if err != nil {
		return err
	}
	for _, name := range []string{path, path + workorder.ClosureSuffix} {
		if err := dir.MayWrite(name); err != nil {
			return reason.Usage(fmt.Errorf("the closure: %w", err))
		}
		if _, err := os.Lstat(name); err == nil {
			return reason.Usage(fmt.Errorf("the closure: %s: %w", name, errClosureExists))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the closure: %w", err)
		}
	}
	return nil
}

func (c *Commands) writeClosure(ctx context.Context, ask operate.ClosureRequest, path string) error {
	text, err := c.ask(ctx, operate.ActClosure, ask)
	if err != nil {
		return fmt.Errorf("signing the closure of work order %s: %w", ask.ID, err)
	}
	var made workorder.SignedClosure
	if err := json.Unmarshal([]byte(text), &made); err != nil {
		return fmt.Errorf("reading the closure: %w", err)
	}
	if err := writePair(path, made.File, workorder.ClosureSuffix, made.Signature); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.Stdout, "%s and %s%s are written\n", path, path, workorder.ClosureSuffix)
	return err
}
