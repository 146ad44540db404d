package instance_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"hallmark/configs"
	"hallmark/devices"
	"hallmark/fixtures"
	"hallmark/station/instance"
	"hallmark/station/issuance"
)

// A line whose boards would outlive the issuing CA stops at each board, so the health check says it months before.
func TestTheEndOfTheIssuingCAIsSeenAhead(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	profile := func(validity string) *issuance.Profile {
		_, text, err := (&configs.Config{Profile: "linaro"}).ProfileText(".")
		if err != nil {
			t.Fatal(err)
		}
		return fixtures.Must(configs.ParseProfileFor(devices.PurposeTLS, "own.yaml", []byte(strings.Replace(string(text), "validity: forever ", "validity: "+validity+" ", 1))))(t)
	}
	year, ever := profile("365d"), profile("forever")
	day := 24 * time.Hour
	for _, test := range []struct {
		name     string
		profiles []*issuance.Profile
		left     time.Duration // of the issuing CA
		want     error
		text     string
	}{
		{"years", []*issuance.Profile{year}, 3000 * day, nil, ""},
		{"the last day before the warning", []*issuance.Profile{year}, 456 * day, nil, ""},
		{"three months before the first refusal", []*issuance.Profile{year}, 454 * day, instance.ErrIssuingEnding, "no certificate after 2027-02-27, in 89 days"},
		{"the last day", []*issuance.Profile{year}, 365 * day, instance.ErrIssuingEnding, "in 0 days"},
		{"a second too late", []*issuance.Profile{year}, 365*day - time.Second, issuance.ErrOutlives, "until 2027-11-30T12:00:00Z, the issuing CA until 2027-11-30T11:59:59Z"},
		{"ten days", []*issuance.Profile{year}, 10 * day, issuance.ErrOutlives, "station profile adopt"},
		{"boards that never end", []*issuance.Profile{ever}, 3000 * day, issuance.ErrOutlives, ""},
		{"the second profile would now, the first soon", []*issuance.Profile{year, ever}, 400 * day, issuance.ErrOutlives, ""},
		{"the second profile", []*issuance.Profile{year, ever}, 3000 * day, issuance.ErrOutlives, ""},
	} {
		err := instance.CheckIssuingEnd(test.profiles, &x509.Certificate{NotAfter: now.Add(test.left)}, now)
		if !errors.Is(err, test.want) || !strings.Contains(fmt.Sprint(err), test.text) {
			t.Errorf("%s: got %v, want %v with %q", test.name, err, test.want, test.text)
		}
	}
}
