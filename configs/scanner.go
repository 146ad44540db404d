package configs

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"hallmark/station/label"
)

// Scanner says how the barcode scanner frames a label.
type Scanner struct {
	Prefix string `yaml:"prefix"` // in front of each label; empty: none is demanded
	Suffix string `yaml:"suffix"` // behind each label; empty: enter, tab, line feed, ETX or EOT
}

// Bounds of the keys `scanner` and `labels`.
const (
	longestFrame = 8
	mostLabels   = 16
)

func (s *Scanner) validate() error {
	return errors.Join(frame("scanner.prefix", s.Prefix), frame("scanner.suffix", s.Suffix))
}

// frame refuses a frame that the screen could not tell from a key or from a label.
func frame(key, text string) error {
	want := fmt.Sprintf("at most %d octets of ASCII without letters, digits, spaces, ESC, BEL and backspace", longestFrame)
	plain := func(r rune) bool {
		return r > unicode.MaxASCII || r == ' ' || unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("\x00\x07\x08\x1b\x7f", r)
	}
	if len(text) <= longestFrame && !strings.ContainsFunc(text, plain) {
		return nil
	}
	return &ValueError{key, strconv.QuoteToASCII(text), want, `write what "station doctor --scanner" prints, such as "~" or "\x02"`}
}

// labels checks the regular expressions of the key `labels`.
func (c *Config) labels() (err error) {
	if n := len(c.Labels); n > mostLabels {
		err = &ValueError{"labels", strconv.Itoa(n), fmt.Sprintf("at most %d", mostLabels), "join some with |"}
	}
	for i, text := range c.Labels {
		if _, bad := label.ParsePattern(text); bad != nil {
			err = errors.Join(err, &ValueError{fmt.Sprintf("labels[%d]", i), strconv.QuoteToASCII(text), bad.Error(), "the examples in station.example.yaml show how"})
		}
	}
	return err
}

// LabelReader makes the reader of the labels. Validate has checked the patterns.
func (c *Config) LabelReader() *label.Reader {
	r := label.NewReader()
	r.Before, r.After = c.Scanner.Prefix, c.Scanner.Suffix
	for _, text := range c.Labels {
		if p, err := label.ParsePattern(text); err == nil {
			r.Patterns = append(r.Patterns, p)
		}
	}
	return r
}
