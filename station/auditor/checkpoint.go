package auditor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"
	"rsc.io/qr"

	"hallmark/station/audit"
	"hallmark/station/evidence"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

func (c *Commands) checkpoint() *cobra.Command {
	var asQR, asJSON bool
	cmd := &cobra.Command{
		Use:   "checkpoint",
		Short: "Prints the newest checkpoint, to be kept elsewhere (C2SP signed note)",
		Long: `checkpoint prints the newest checkpoint with the signatures of the station, its witnesses and mirrors.
Send it by mail, or print it with --qr and put it into a file of paper: the QR code has the
checkpoint with the signature of the station alone, because those of many witnesses do not fit into one.
auditcheck --anchor, audit verify --anchor and the directory of anchors take what this command prints.

--json says which configured witnesses have cosigned the checkpoint: size, root, note, and for each
witness its name and whether it has cosigned.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asQR && asJSON {
				return reason.Usage(errors.New("--qr and --json: want one of them"))
			}
			return c.printCheckpoint(cmd.Context(), asQR, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asQR, "qr", false, "print a QR code of the checkpoint below the text")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	return cmd
}

func (c *Commands) printCheckpoint(ctx context.Context, asQR, asJSON bool) error {
	return c.WithReader(ctx, func(dir workdir.Dir, reader *registry.Reader) error {
		signed, err := reader.LastCheckpoint(ctx)
		if err == nil && asJSON {
			signed, err = checkpointJSON(ctx, dir, reader, signed)
		}
		if err != nil {
			return err
		}
		if asQR && len(signed) > 0 {
			symbol, err := qrText(string(audit.Alone(signed)))
			if err != nil {
				return err
			}
			signed = append(append(signed, '\n'), symbol...)
		}
		_, err = c.Stdout.Write(signed)
		return errors.Join(err, workdir.SyncOutput(c.Stdout))
	})
}

// quietZone is the white border of a QR code in modules (ISO/IEC 18004 section 6.3.8).
const quietZone = 4

// qrText gives the QR code of a text in characters, each of which is two modules high.
func qrText(text string) (string, error) {
	code, err := qr.Encode(text, qr.L) // the text is printed beside it, and a smaller code is easier to scan
	if err != nil {
		return "", fmt.Errorf("making the QR code: %w", err)
	}
	shapes := []string{" ", "\u2580", "\u2584", "\u2588"}
	var out strings.Builder
	for y := -quietZone; y < code.Size+quietZone; y += 2 {
		for x := -quietZone; x < code.Size+quietZone; x++ {
			shape := 0
			if code.Black(x, y) { // false beyond the code
				shape |= 1
			}
			if code.Black(x, y+1) {
				shape |= 2
			}
			out.WriteString(shapes[shape])
		}
		out.WriteByte('\n')
	}
	return out.String(), nil
}

// A checkpointReport is what --json prints. Later versions may add keys.
type checkpointReport struct {
	Origin    string          `json:"origin"`
	Size      int64           `json:"size"`
	Root      string          `json:"root"` // base64
	Note      string          `json:"note"`
	Witnesses []witnessReport `json:"witnesses"`
}

type witnessReport struct {
	Name     string `json:"name"`
	Cosigned bool   `json:"cosigned"`
	Mirrored *bool  `json:"mirrored,omitempty"` // only for a witness with a mirror
}

func checkpointJSON(ctx context.Context, dir workdir.Dir, reader *registry.Reader, signed []byte) ([]byte, error) {
	config, _, err := instance.ReadSettings(dir)
	if err != nil {
		return nil, reason.Usage(err)
	}
	report := checkpointReport{Note: string(signed), Witnesses: []witnessReport{}}
	if len(signed) > 0 {
		key, err := reader.VerifierKey(ctx)
		if err != nil {
			return nil, err
		}
		head, err := audit.OpenCheckpoint(signed, key)
		if err != nil {
			return nil, err
		}
		report.Origin, _, _ = strings.Cut(key, "+")
		report.Size, report.Root = head.Size, head.Root.String()
	}
	for _, w := range config.Witnesses {
		one := witnessReport{Name: w.Name, Cosigned: cosigned(signed, w.Key)}
		if w.MirrorKey != "" {
			mirrored := cosigned(signed, w.MirrorKey)
			one.Mirrored = &mirrored
		}
		report.Witnesses = append(report.Witnesses, one)
	}
	text, err := json.MarshalIndent(report, "", "  ")
	return append(text, '\n'), err
}

// cosigned reports whether a key has cosigned a checkpoint.
func cosigned(signed []byte, key string) bool {
	verifier, err := evidence.NewCosigner(key)
	if err != nil {
		return false
	}
	_, err = note.Open(signed, note.VerifierList(verifier))
	return err == nil
}
