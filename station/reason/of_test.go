package reason_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"hallmark/station/reason"
)

var (
	clone  = reason.New("clone", "a clone")
	quota  = reason.New("quota", "no more boards")
	pin    = reason.New("pin-source", "no PIN")
	sealed = reason.New("sealed", "sealed")
)

// tree is an error with several children, as fmt.Errorf makes with several %w.
type tree []error

func (t tree) Error() string   { return "tree" }
func (t tree) Unwrap() []error { return t }

func TestTheRowThatCountsIsFoundAnywhereInATree(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"nil is a Pass without a word", nil, ""},
		{"an error without a sentinel is a Fault", io.EOF, "fault"},
		{"a tree without a sentinel is a Fault", tree{io.EOF, nil, tree{}}, "fault"},
		{"the sentinel itself", clone, "clone"},
		{"a wrapped sentinel", fmt.Errorf("identify: %w", fmt.Errorf("admitting: %w", clone)), "clone"},
		{"the second of two causes", fmt.Errorf("%w: %w", io.EOF, clone), "clone"},
		{"the precedence decides, not the order in the text", fmt.Errorf("%w: %w", quota, clone), "clone"},
		{"the precedence decides, not the depth", errors.Join(quota, tree{io.EOF, tree{fmt.Errorf("deep: %w", clone)}}), "clone"},
		{"the text alone does not count", fmt.Errorf("%w (before that: %v)", quota, clone), "quota"},
	} {
		t.Run(test.name, func(t *testing.T) {
			row := reason.Of(test.err)
			if row.Word != test.want {
				t.Errorf("got %q, want %q", row.Word, test.want)
			}
			if found, named := reason.Find(test.err); named != (len(reason.All(test.err)) > 0) || named && found != row {
				t.Errorf("Find gives %+v, %t", found, named)
			}
		})
	}
	if row := reason.Of(nil); row.Ending != reason.Pass || row.Exit != reason.ExitPass {
		t.Errorf("nil: %+v", row)
	}
}

func TestAllGivesEachRowByPrecedence(t *testing.T) {
	rows := reason.All(errors.Join(pin, tree{quota, clone}))
	if len(rows) != 3 || rows[0].Word != "clone" || rows[1].Word != "quota" || rows[2].Word != "pin-source" {
		t.Errorf("got %+v", rows)
	}
}

func TestASentinelMayHaveALowerPrecedenceThanItsRow(t *testing.T) {
	lower := sealed.Below("bad-slot")
	hash, revoked, huk := reason.New("bad-hash", "hash"), reason.New("revoked", "revoked"), reason.New("no-huk", "no HUK")
	for _, test := range []struct {
		name        string
		first, next *reason.Sentinel
	}{
		{"by itself it stands at its row", sealed, revoked},
		{"the row it stands below comes before it", reason.New("bad-slot", "slot"), lower},
		{"so does what comes before that row", hash, lower},
		{"the next row comes after it", lower, huk},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := reason.Of(errors.Join(test.next, test.first)); got != test.first.Row() {
				t.Errorf("got %q, want %q", got.Word, test.first.Word())
			}
		})
	}
	if lower.Row() != sealed.Row() || lower.Error() != sealed.Error() || errors.Is(lower, sealed) {
		t.Error("the lower sentinel is another one with the same row and text")
	}
}

func TestASentinelWithoutARowPanics(t *testing.T) {
	for name, do := range map[string]func(){
		"New":   func() { reason.New("no-such-word", "text") },
		"Below": func() { sealed.Below("no-such-word") },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			do()
		})
	}
}

func TestExitCodeOfACommand(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		want reason.Exit
	}{
		{"no error", nil, 0},
		{"an error that nobody named", io.EOF, 1},
		{"a refused board", fmt.Errorf("enrolling: %w", clone), 2},
		{"usage, however deep", fmt.Errorf("opening: %w", reason.Usage(io.EOF)), 3},
		{"a PIN source that is not usable", fmt.Errorf("opening the HSM: %w", pin), 3},
		{"usage counts before the operator, because nothing was begun", fmt.Errorf("%w: %w", context.Canceled, pin), 3},
		{"usage counts before any other sentinel", reason.Usage(fmt.Errorf("opening an order: %w", clone)), 3},
		{"the operator", fmt.Errorf("opening: %w", context.Canceled), 4},
		{"a drain", reason.New("draining", "draining"), 4},
		{"an error of what the operator cut short", fmt.Errorf("%w: %w", quota, context.Canceled), 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := reason.ExitOf(test.err); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

func TestTheWorstEndingDecidesTheExitCode(t *testing.T) {
	for _, test := range []struct {
		name   string
		counts map[reason.Exit]int
		want   reason.Exit
	}{
		{"no Run", nil, 0},
		{"each Run passed", map[reason.Exit]int{reason.ExitPass: 3}, 0},
		{"a Fault among others", map[reason.Exit]int{reason.ExitPass: 3, reason.ExitReject: 2, reason.ExitFault: 1, reason.ExitAborted: 1}, 1},
		{"a Reject and a stop", map[reason.Exit]int{reason.ExitReject: 1, reason.ExitAborted: 1, reason.ExitFault: 0}, 2},
		{"a stop", map[reason.Exit]int{reason.ExitPass: 3, reason.ExitAborted: 1}, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := reason.ExitOfRuns(test.counts); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

// A used-up quota is no Fault of the station: a job that tries again after a Fault would try for nothing.
func TestARunThatItsWorkOrderRefusedCountsAsStopped(t *testing.T) {
	for _, test := range []struct {
		ending reason.Ending
		word   string
		want   reason.Exit
	}{
		{reason.Fault, "quota", reason.ExitAborted}, {reason.Fault, "order-closed", reason.ExitAborted}, {reason.Fault, "order-expired", reason.ExitAborted},
		{reason.Fault, "no-answer", reason.ExitFault}, {reason.Fault, "", reason.ExitFault}, {reason.Reject, "clone", reason.ExitReject},
		{reason.Aborted, "operator", reason.ExitAborted}, {reason.Pass, "", reason.ExitPass},
	} {
		if got := reason.ExitOfRun(test.ending, test.word); got != test.want {
			t.Errorf("%s %q: got %d, want %d", test.ending, test.word, got, test.want)
		}
	}
}

func TestUsageKeepsTextAndTree(t *testing.T) {
	if reason.Usage(nil) != nil {
		t.Error("nil became an error")
	}
	err := reason.Usage(clone)
	if err.Error() != clone.Error() || !errors.Is(err, clone) {
		t.Errorf("got %v", err)
	}
}

func TestAWordWithoutARowFollowsTheEnding(t *testing.T) {
	for _, test := range []struct {
		ending       reason.Ending
		screen, next string
	}{
		{reason.Pass, "next.pass", ""},
		{reason.Reject, "next.reject", "set the board aside with its report"},
		{reason.Fault, "next.reseat", "try the board again; if it happens again run `station doctor`"},
		{reason.Aborted, "next.again", "run the same command again"},
	} {
		for _, word := range []string{"a-reason-of-next-year", ""} {
			if screen, next := reason.ScreenKey(test.ending, word), reason.Next(test.ending, word); screen != test.screen || next != test.next {
				t.Errorf("%s %q: got %q and %q", test.ending, word, screen, next)
			}
		}
	}
	if got := reason.ScreenKey(reason.Pass, "clone"); got != "next.pass" {
		t.Errorf("a Pass with a word: %q", got)
	}
	if got := reason.ScreenKey(reason.Fault, "pin-wrong"); got != "next.reseat" {
		t.Errorf("a word that no Run ends with: %q", got)
	}
}

func TestARefusalTellsTheNextActionOfItsRow(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("opening: %w", reason.New("order-quota", "too few")), "opening: too few\nnext: give a quota greater"},
		{reason.Usage(errors.New("--id is missing")), "--id is missing"},
		{errors.New("broken pipe"), "broken pipe"},
	} {
		if got := reason.WithNext(test.err); !errors.Is(got, test.err) || !strings.HasPrefix(got.Error(), test.want) || strings.Contains(got.Error(), "next:") != strings.Contains(test.want, "next:") {
			t.Errorf("%v: got %q", test.err, got)
		}
	}
	if reason.WithNext(nil) != nil {
		t.Error("nil became an error")
	}
}
