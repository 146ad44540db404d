package ui

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"hallmark/station"
	"hallmark/station/label"
	"hallmark/ui/catalogue"
)

// Options are the options of New.
type Options struct {
	Interfaces
	Texts        *catalogue.Catalogue
	Feed         *Feed
	Station      string   // its name
	Steps        []string // station.Station.Steps
	BayNames     []string // 1 to 32, in the order of the bench
	Now          func() time.Time
	Out          io.Writer     // the terminal
	ErrorLog     string        // existing file that takes standard error while the screen is open; empty: none
	Colour       bool          // false under NO_COLOR
	ColourScheme ColourScheme  // empty: SchemeDark
	ASCII        bool          // the locale is not UTF-8, see UTF8Locale
	Bell         bool          // ring at each ending
	Takt         time.Duration // target for the time between two boards, 0 for none
	IdleLock     time.Duration // lock after so long without a key, 0 for never
	Labels       *label.Reader // nil: the usual prefixes, no patterns
	Operator     Operator      // who is signed in at the start, for stations without badges
	// ShiftBegan gives the beginning of the shift in which a time lies. nil: the shift begins with the screen.
	ShiftBegan func(time.Time) time.Time
	// Earlier reads the Runs of the shift from the record, oldest first: ID,
	// Identity, Purpose, Ending, Reason, Finished and Steps of each. It is called once; nil: there is no record.
	Earlier func(ctx context.Context, began time.Time) ([]station.Run, error)
}

// colourScheme is the choice of colours for this terminal.
func (o *Options) colourScheme(getenv func(string) string) ColourScheme {
	if !o.Colour || !hasColours(getenv) {
		return SchemeNone
	}
	return cmp.Or(o.ColourScheme, SchemeDark)
}

// MaxBays is the greatest number of bays on the screen.
const MaxBays = 32

// Refusals of New.
var (
	ErrIncomplete = errors.New("interface is not completely configured")
	ErrBays       = errors.New("want 1 to 32 bays with different names")
)

// validate refuses options without which no screen works, and sets the usual reader of labels.
func (o *Options) validate() error {
	for part, missing := range map[string]bool{"Controller": o.Controller == nil, "Bays": o.Bays == nil, "Facts": o.Facts == nil, "Texts": o.Texts == nil,
		"Feed": o.Feed == nil, "Now": o.Now == nil, "Out": o.Out == nil, "Steps": len(o.Steps) == 0} {
		if missing {
			return fmt.Errorf("%w: %s is not set", ErrIncomplete, part)
		}
	}
	seen := map[string]bool{}
	for _, name := range o.BayNames {
		seen[name] = true
	}
	if len(o.BayNames) < 1 || len(o.BayNames) > MaxBays || len(seen) != len(o.BayNames) {
		return fmt.Errorf("%w: got %q", ErrBays, o.BayNames)
	}
	if o.Labels == nil {
		o.Labels = label.NewReader()
	}
	return nil
}
