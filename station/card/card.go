// Package card makes a sheet of labels for the bench: work orders, bays, badges and boards as Code 128 and as QR code.
package card

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io"

	"hallmark/station/barcode"
	"hallmark/station/label"
	"hallmark/station/reason"
)

// ErrNotRead refuses a label that the screen would not take for what it is.
var ErrNotRead = errors.New("the screen of this station would not read this label as what it is")

// A Label is one label of the sheet.
type Label struct {
	Kind    label.Kind // Order, Bay, Badge or Board
	Text    string     // that a scanner reads
	Caption string     // for people, such as the name of an operator; may be empty
}

// headings are the words above the codes, and wants says what is printed without a pattern.
var (
	headings = map[label.Kind]string{label.Order: "Work order", label.Bay: "Bay", label.Badge: "Badge", label.Board: "Board"}
	wants    = map[label.Kind]string{label.Order: "a text that begins with WO-", label.Bay: "a name without control characters",
		label.Badge: "a code that begins with OP-", label.Board: "a BoardID"}
)

// page is what the template takes.
type page struct {
	Station string
	Labels  []drawn
}

// drawn is a label with its codes. Bars is the width of the Code 128 in millimetres.
type drawn struct {
	Heading, Text, Caption string
	QR, Code               barcode.Symbol
	Bars                   string
}

//go:embed card.html.tmpl
var source string

// Write writes the sheet as one HTML file for A4 without script and without references. Each label is read as the screen of
// the station reads it, so that no label is printed that does nothing. It writes nothing if it refuses one.
func Write(w io.Writer, station string, reader *label.Reader, labels []Label) error {
	p := page{Station: reason.Printable(station)}
	for _, l := range labels {
		one, err := draw(l, reader)
		if err != nil {
			return err
		}
		p.Labels = append(p.Labels, one)
	}
	var text bytes.Buffer
	sheet, err := template.New("card").Parse(source)
	if err != nil {
		return fmt.Errorf("reading the template of the card: %w", err)
	}
	if err := sheet.Execute(&text, p); err != nil {
		return fmt.Errorf("filling the template of the card: %w", err)
	}
	_, err = w.Write(text.Bytes())
	return err
}

// Sizes in millimetres. A module of a third of a millimetre is read by every scanner; a long code has narrower ones.
const (
	widestModule = 0.33
	widestCode   = 136.0
)

func draw(l Label, reader *label.Reader) (drawn, error) {
	code, err := barcode.Code128(l.Text)
	if err != nil {
		return drawn{}, reason.Usage(fmt.Errorf("%s: %w", headings[l.Kind], err))
	}
	read := reader.Read(reader.Before + l.Text + reader.After)
	if read.Kind != l.Kind || !read.Readable() || read.CapsLock {
		return drawn{}, reason.Usage(fmt.Errorf("%s %q: %w: want %s, or a pattern for it under labels in station.yaml", headings[l.Kind], l.Text, ErrNotRead, wants[l.Kind]))
	}
	qr, err := barcode.QR(l.Text)
	if err != nil {
		return drawn{}, err
	}
	return drawn{Heading: headings[l.Kind], Text: l.Text, Caption: reason.Printable(l.Caption), QR: qr, Code: code,
		Bars: fmt.Sprintf("%.1f", min(widestModule*float64(code.Width), widestCode))}, nil
}
