package audit_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"slices"
	"strings"
	"testing"

	"hallmark/station/audit"
)

// signedHead gives a checkpoint over this number of entries.
func signedHead(t *testing.T, size int64) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	note, err := audit.Sign("hallmark/demo", audit.Head{Size: size}, key, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return string(note)
}

func TestCheckpointsAreFoundInTheTextOfAMail(t *testing.T) {
	one, two := signedHead(t, 7), signedHead(t, 8)
	qr := "\n \u2588\u2580\u2584 \u2588\n\n"
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"text above, with an empty line": {"From: hq\n\nDear all,\n\n" + one, []string{one}},
		"text above, without one":        {"Dear all,\n" + one, []string{one}},
		"text below":                     {one + "\nBest regards\n", []string{one}},
		"text below, without a gap":      {one + "Best regards\n", []string{one}},
		"a name behind a dash":           {one + "\n\u2014 Anna\n", []string{one}},
		"a QR code and text":             {"Dear all,\n\n" + one + qr + "Best regards\n", []string{one}},
		"two with text between":          {"October:\n" + one + qr + "November:\n" + two + "\nbye", []string{one, two}},
		"two without a gap":              {one + two, []string{one, two}},
		"quoted in an answer":            {"Anna wrote:\n> " + strings.ReplaceAll(one, "\n", "\n> ") + "\n", []string{one}},
		"lines that end with CR LF":      {strings.ReplaceAll("Dear all,\n\n"+one, "\n", "\r\n"), []string{one}},
	} {
		t.Run(name, func(t *testing.T) {
			anchors, err := audit.ParseAnchors([]byte(test.text))
			var got []string
			for _, anchor := range anchors {
				got = append(got, string(anchor))
			}
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}

// A checkpoint is never left out in silence because a line of it was damaged.
func TestADamagedCheckpointAmongOthersIsRefused(t *testing.T) {
	one, two := signedHead(t, 7), signedHead(t, 8)
	text, signature, _ := strings.Cut(two, "\n\n")
	for name, damaged := range map[string]string{
		"the size":               strings.Replace(two, "\n8\n", "\nX\n", 1),
		"the root":               strings.Replace(two, "=\n\n", "\n\n", 1),
		"no signature":           text + "\n",
		"an empty line too many": strings.Replace(two, "\n8\n", "\n\n8\n", 1),
		"no empty line":          text + "\n" + signature,
		"no name":                strings.TrimPrefix(two, "hallmark/demo\n"),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := audit.ParseAnchors([]byte(one + "\n" + damaged)); err == nil {
				t.Errorf("got %q", got)
			}
		})
	}
}
