package auditor

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"hallmark/devices"
	"hallmark/station/registry"
)

// selection has the flags that select entries.
type selection struct {
	chosen             registry.Selection
	board, since, till string
}

func (s *selection) flags(flags *pflag.FlagSet) {
	c := &s.chosen
	flags.StringVar(&s.board, "board", "", "only the board with this BoardID")
	flags.StringVar(&c.Serial, "serial", "", "only the certificate with this serial number (32 hexadecimal digits)")
	flags.StringVar(&c.Order, "order", "", "only this work order, with all entries of its Runs")
	flags.StringVar(&c.Operator, "operator", "", "only what this operator did, and the Runs of this operator")
	flags.StringVar(&c.Bay, "bay", "", "only this bay")
	flags.StringVar(&c.Type, "type", "", "only entries of this type, or of the types below it: cert, cert.issued")
	flags.StringVar(&c.Ending, "ending", "", "only Runs that ended as pass, reject, fault, aborted")
	flags.StringVar(&c.Reason, "reason", "", "only entries with this reason word")
	flags.StringVar(&c.Status, "status", "", "only entries that give a certificate this status")
	flags.StringVar(&s.since, "since", "", "only entries written at this time or later (2026-11-28, or 2026-11-28T07:00:00Z)")
	flags.StringVar(&s.till, "until", "", "only entries written before this time")
}

var serialForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

// parseSerial reads the flag --serial, also as openssl writes a serial number: with capitals, or with colons.
func parseSerial(text string) (serial string, err error) {
	serial = strings.ToLower(strings.ReplaceAll(text, ":", ""))
	if text != "" && !serialForm.MatchString(serial) {
		return "", fmt.Errorf("--serial %q: want 32 hexadecimal digits", text)
	}
	return serial, nil
}

// entryStatuses are the statuses that an entry can give a certificate. On hold is a board, not a certificate.
var entryStatuses = append(slices.DeleteFunc(slices.Clone(certificateStatuses), func(s string) bool { return s == registry.StatusHeld || s == registry.StatusRework }), "intended", "failed")

// parse checks the flags. It refuses a filter that cannot match anything, because an empty
// answer would look like a correct one.
func (s *selection) parse() (registry.Selection, error) {
	c := s.chosen
	var err error
	if c.Serial, err = parseSerial(c.Serial); err != nil {
		return c, err
	}
	if c.Ending != "" && c.Ending != "pass" && c.Ending != "reject" && c.Ending != "fault" && c.Ending != "aborted" {
		return c, fmt.Errorf("--ending %q: want pass, reject, fault or aborted", c.Ending)
	}
	if c.Status != "" && !slices.Contains(entryStatuses, c.Status) {
		return c, fmt.Errorf("--status %q: want one of %s", c.Status, strings.Join(entryStatuses, ", "))
	}
	if s.board != "" {
		if c.BoardID, err = devices.ParseBoardID(s.board); err != nil {
			return c, fmt.Errorf("--board: %w", err)
		}
	}
	c.Since, c.Until, err = parseSpan("--since", s.since, s.till)
	return c, err
}

// parseSpan reads the flag with the beginning of a span, and --until. It refuses a span that nothing can lie in.
func parseSpan(flag, since, till string) (from, to time.Time, err error) {
	if from, err = ParseTime(flag, since); err != nil {
		return from, to, err
	}
	to, err = ParseTime("--until", till)
	if err == nil && !to.IsZero() && !to.After(from) {
		err = fmt.Errorf("--until %s is not after %s %s", till, flag, since)
	}
	return from, to, err
}

// ParseTime reads RFC 3339, or a day, which begins at midnight UTC.
func ParseTime(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(form, text); err == nil && !at.IsZero() { // the zero time is no time for all who ask
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%s %q: want a day such as 2026-11-28, or a time such as 2026-11-28T07:00:00Z", flag, text)
}
