package reason_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hallmark/station/reason"
	"hallmark/ui/catalogue"
)

// testdata/reasons.tsv holds everything that users see of each reason of a Run: word, ending,
// stop of the bay, exit code, key of the next action on the screen, next action,
// English and German text. A change of a line in this file changes what users see.
func TestUsersSeeTheSameOfEachReasonAsBefore(t *testing.T) {
	english, german := texts(t, "en"), texts(t, "de")
	for _, line := range golden(t) {
		word, _, _ := strings.Cut(line, "\t")
		row, known := reason.For(word)
		if !known {
			t.Errorf("no row %q", word)
			continue
		}
		got := fmt.Sprintf("%s\t%s\t%t\t%d\t%s\t%s\t%s\t%s", row.Word, row.Ending, row.StopBay, row.Exit, row.Screen, row.Next,
			english.Text("reason."+word), german.Text("reason."+word))
		if got != line {
			t.Errorf("got  %s\nwant %s", got, line)
		}
		if row.Screen != reason.ScreenKey(row.Ending, word) || row.Next != reason.Next(row.Ending, word) {
			t.Errorf("%q: the lookups by word give %q and %q", word, reason.ScreenKey(row.Ending, word), reason.Next(row.Ending, word))
		}
	}
}

func TestEachReasonOfARunIsOnTheListOfWhatUsersSee(t *testing.T) {
	var seen []string
	for _, line := range golden(t) {
		word, _, _ := strings.Cut(line, "\t")
		seen = append(seen, word)
	}
	for _, row := range reason.Rows() {
		if row.Screen != "" && !slices.Contains(seen, row.Word) {
			t.Errorf("testdata/reasons.tsv has no line for %q", row.Word)
		}
	}
}

func golden(t *testing.T) []string {
	t.Helper()
	raw, err := os.ReadFile("testdata/reasons.tsv")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
}

func texts(t *testing.T, language string) *catalogue.Catalogue {
	t.Helper()
	texts, err := catalogue.Load(language)
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

func TestTheTableIsComplete(t *testing.T) {
	word := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	screen := regexp.MustCompile(`^(next\.[a-z]+)?$`)
	seen := map[string]bool{}
	for _, row := range reason.Rows() {
		switch {
		case !word.MatchString(row.Word):
			t.Errorf("%q is not a word or hyphenated words", row.Word)
		case seen[row.Word]:
			t.Errorf("%q has two rows", row.Word)
		case row.StopBay && row.Ending != reason.Reject:
			t.Errorf("%q stops the bay without a Reject", row.Word)
		case row.Next == "" || !screen.MatchString(row.Screen):
			t.Errorf("%q: next %q, screen %q", row.Word, row.Next, row.Screen)
		}
		seen[row.Word] = true
	}
}

func TestRowsIsACopyOfTheTable(t *testing.T) {
	reason.Rows()[0].Word = "changed"
	if got := reason.Rows()[0].Word; got == "changed" {
		t.Error("a caller can change the table")
	}
}

func TestTheExitCodeFollowsTheEnding(t *testing.T) {
	usage := []string{"usage", "hsm-config", "pin-source", "pkcs11-uri", "bad-text", "no-operator", "no-backup", "recover-active", "probe-serial", "writable-by-others", "ca-chain", "ceremony-input", "ceremony-output", "archived", "archive-other", "nothing-to-archive", "order-quota", "not-permitted", "order-file", "order-forged", "order-elsewhere", "already-marked", "nothing-to-rework", "order-replayed", "order-revision", "order-not-closed", "other-selection", "crl-issuer",
		"ocsp-missing", "ocsp-other-key", "ocsp-unfit", "ocsp-ended", "address-in-use", "status-damaged", "status-forged", "status-foreign", "status-rolled-back", "status-twice", "status-stale", "no-crl", "status-memory", "update-damaged", "update-forged", "update-elsewhere", "update-old", "update-objects", "no-update", "other-file", "profile-not-adopted", "issuer-unfit", "hub-station", "hub-order-known", "hub-no-order", "hub-finding"}
	orders := []string{"order-closed", "order-expired", "order-not-yet", "order-unsigned", "order-owner", "order-profile", "order-needed"}
	codes := map[reason.Ending]reason.Exit{reason.Fault: 1, reason.Reject: 2, reason.Aborted: 4}
	for _, row := range reason.Rows() {
		want := codes[row.Ending]
		if slices.Contains(usage, row.Word) {
			want = 3
		}
		if row.Word == "unknown-order" || row.Word == "quota" || slices.Contains(orders, row.Word) {
			want = 4
		}
		if strings.HasPrefix(row.Word, "pin-") && row.Word != "pin-source" {
			want = 5
		}
		err := fmt.Errorf("opening: %w", reason.New(row.Word, "text"))
		if row.Exit != want || reason.ExitOf(err) != want {
			t.Errorf("%q: exit code %d in the table, %d for an error, want %d", row.Word, row.Exit, reason.ExitOf(err), want)
		}
	}
}
