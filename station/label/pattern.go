package label

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/google/uuid"
)

// A Pattern is a regular expression (RE2) for whole labels. Its named group holds the part that counts.
type Pattern struct {
	expression *regexp.Regexp
	kind       Kind
	group      int
}

// kinds are the names of groups.
var kinds = map[string]Kind{"board": Board, "serial": Serial, "order": Order, "badge": Badge, "bay": Bay}

// MaxPattern is the longest regular expression, in octets.
const MaxPattern = 512

// Refusals of ParsePattern. Each text says what is wanted.
var (
	ErrExpression = errors.New("a regular expression (RE2)")
	ErrGroup      = errors.New("exactly one group with a name: (?P<board>...), (?P<serial>...), (?P<order>...), (?P<badge>...) or (?P<bay>...)")
	ErrEmpty      = errors.New("an expression that does not fit a label with nothing in it, such as .+ and not .*")
	ErrLong       = fmt.Errorf("at most %d octets", MaxPattern)
)

// ParsePattern parses a regular expression with one named group. The expression must fit the whole label.
func ParsePattern(text string) (Pattern, error) {
	if len(text) > MaxPattern {
		return Pattern{}, ErrLong
	}
	if _, err := regexp.Compile(text); err != nil { // alone: a text such as "a)(b" must not fit into the group below
		return Pattern{}, fmt.Errorf("%w: %w", ErrExpression, err)
	}
	p := Pattern{expression: regexp.MustCompile(`^(?s:` + text + `)$`)}
	for i, name := range p.expression.SubexpNames() {
		if name == "" {
			continue
		}
		kind, known := kinds[name]
		if !known || p.group != 0 {
			return Pattern{}, fmt.Errorf("%w; got (?P<%s>...)", ErrGroup, name)
		}
		p.kind, p.group = kind, i
	}
	if p.group == 0 {
		return Pattern{}, ErrGroup
	}
	if p.expression.MatchString("") {
		return Pattern{}, ErrEmpty
	}
	return p, nil
}

func (p Pattern) read(text string) (Label, bool) {
	found := p.expression.FindStringSubmatch(text)
	if found == nil {
		return Label{}, false
	}
	value := found[p.group]
	switch p.kind {
	case Board:
		id, err := boardID(value)
		return Label{Kind: Board, Text: id}, err == nil
	case Serial:
		value = strings.ToLower(strings.ReplaceAll(value, ":", ""))
		_, err := hex.DecodeString(value)
		return Label{Kind: Serial, Text: value}, err == nil && value != ""
	}
	return Label{Kind: p.kind, Text: value}, value != "" && !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' })
}

// boardID returns a BoardID with dashes.
func boardID(text string) (string, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return "", fmt.Errorf("reading a BoardID: %w", err)
	}
	return id.String(), nil
}

// runes reads a text without a copy that cannot be wiped.
type runes struct{ rest []rune }

// ReadRune implements io.RuneReader.
func (r *runes) ReadRune() (rune, int, error) {
	if len(r.rest) == 0 {
		return 0, 0, io.EOF
	}
	first := r.rest[0]
	r.rest = r.rest[1:]
	return first, 1, nil
}
