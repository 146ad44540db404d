package ui

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"hallmark/station"
	"hallmark/station/operate"
	"hallmark/station/reason"
	"hallmark/ui/catalogue"
)

// Each reason of a Run has a text and a next action in each language.
func TestEachReasonOfARunHasTextsInEachLanguage(t *testing.T) {
	for _, language := range catalogue.Languages() {
		texts := load(t, language)
		for _, row := range reason.Rows() {
			if tile := row.Screen != ""; texts.Has("reason."+row.Word) != tile {
				t.Errorf("%s: there is a text for reason %q: %t, want %t", language, row.Word, !tile, tile)
			}
			if row.Screen != "" && !texts.Has(row.Screen) {
				t.Errorf("%s: reason %q has the next action %q, which has no text", language, row.Word, row.Screen)
			}
		}
	}
}

// Each text of the catalogue for a refusal belongs to a row of the table.
func TestEachTextOfARefusalHasARow(t *testing.T) {
	others := []string{"reason.pass", "reason.reject", "reason.aborted", "refused.slow"} // of the endings, and of a time-out
	for _, key := range load(t, catalogue.Reference).Keys() {
		word, found := strings.CutPrefix(key, "reason.")
		if !found {
			word, found = strings.CutPrefix(key, "refused.")
		}
		if _, known := reason.For(word); found && !known && !slices.Contains(others, key) {
			t.Errorf("%s: the table of reasons has no row %q", key, word)
		}
	}
}

func TestARefusalIsShownInTheOperatorsLanguage(t *testing.T) {
	m := open(t, newFakeStation(), options(t, newFakeStation(), 4, "de"), 80, 24).Model
	for _, test := range []struct {
		name, key string
		err       error
	}{
		{"a badge that nobody knows", "refused.unknown-badge", fmt.Errorf("%w: %q", operate.ErrUnknownBadge, "OP-1")},
		{"a bay that runs", "refused.bay-busy", fmt.Errorf("1: %w", operate.ErrBusy)},
		{"an HSM that is away comes before the reason why", "refused.hsm-away", fmt.Errorf("%w: %w", operate.ErrHSMAway, errPINLocked)},
		{"a PIN that was refused", "refused.pin-wrong", errPINRefused},
		{"a PIN on its final try", "refused.pin-final-try", errPINLast},
		{"a PIN that is locked", "refused.pin-locked", errPINLocked},
		{"a work order that is not open", "refused.unknown-order", errors.Join(station.ErrRegistry, station.ErrUnknownOrder)},
		{"a work order that is complete", "refused.quota", errors.Join(station.ErrSigning, station.ErrQuota)},
		{"a line that is being stopped", "refused.draining", errors.Join(station.ErrLine, station.ErrDraining)},
		{"a bay that is stopped comes before the board that stopped it", "refused.bay-stopped", fmt.Errorf("%w: %w", station.ErrBayStopped, station.ErrClone)},
		{"another board than the label says", "refused.swapped", &station.SwappedError{}},
		{"a reason without a text here leaves the place to the next one", "refused.draining", errors.Join(station.ErrClone, station.ErrDraining)},
		{"no answer in time", "refused.slow", fmt.Errorf("starting: %w", context.DeadlineExceeded)},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, want := m.errorText(test.err), m.t(test.key); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
	deep := fmt.Errorf("identify: admitting the board: %w: known on 00ff", station.ErrClone)
	if got, want := m.errorText(deep), m.t("reason.clone"); got != want {
		t.Errorf("an error with the text of a reason: got %q, want %q", got, want)
	}
	unknown := reason.New("token-exists", "token is there already")
	if got := m.errorText(fmt.Errorf("C_OpenSession: CKR_FUNCTION_FAILED: %w", unknown)); got != "token is there already" {
		t.Errorf("an error without a text: %q", got)
	}
}

// nextActions returns the catalogue keys of all next actions.
func nextActions() (keys []string) {
	for _, row := range reason.Rows() {
		keys = append(keys, reason.ScreenKey(row.Ending, row.Word))
	}
	return append(keys, reason.ScreenKey(station.Pass, ""))
}

// The next action for a bad board is never a second try. The next action after a Fault never sets the board aside.
func TestTheNextActionFitsTheEnding(t *testing.T) {
	again := []string{"next.again", "next.reseat", "next.supply", "next.probe", "next.insert", "next.shift"}
	for _, row := range reason.Rows() {
		key := reason.ScreenKey(row.Ending, row.Word)
		if row.Ending == station.Reject && slices.Contains(again, key) || row.Ending == station.Fault && (key == "next.reject" || key == "next.scrapped") {
			t.Errorf("a Run that ends as %s because of %q says %q", row.Ending, row.Word, key)
		}
	}
	for ending, want := range map[station.Ending]string{station.Pass: "next.pass", station.Reject: "next.reject", station.Fault: "next.reseat", station.Aborted: "next.again"} {
		if got := reason.ScreenKey(ending, "a-reason-of-next-year"); got != want {
			t.Errorf("an unknown reason of a %s: %s, want %s", ending, got, want)
		}
	}
}

func TestReasonsAndNextActionsFitTheSmallestTile(t *testing.T) {
	for _, language := range catalogue.Languages() {
		texts := load(t, language)
		for _, key := range texts.Keys() {
			text := texts.Text(key, "32")
			if strings.HasPrefix(key, "reason.") && len(wrap(text, tileWidth-2, 0, "")) > 3 {
				t.Errorf("%s: %s needs more than three lines of %d: %q", language, key, tileWidth-2, text)
			}
			if strings.HasPrefix(key, "next.") && len(wrap("> "+text, tileWidth-2, 0, "")) > 2 {
				t.Errorf("%s: %s needs more than two lines of %d: %q", language, key, tileWidth-2, text)
			}
		}
	}
}

func load(t testing.TB, language string) *catalogue.Catalogue {
	t.Helper()
	texts, err := catalogue.Load(language)
	if err != nil {
		t.Fatal(err)
	}
	return texts
}
