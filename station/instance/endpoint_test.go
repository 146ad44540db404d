package instance

import (
	"crypto/x509"
	"errors"
	"testing"
	"time"
)

func TestACertificateThatEndsSoonIsReportedBeforeItHasEnded(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		left time.Duration
		want error
	}{
		"a year is left":             {365 * 24 * time.Hour, nil},
		"30 days are left":           {RenewBefore, nil},
		"a second less than 30 days": {RenewBefore - time.Second, ErrEnding},
		"a second is left":           {time.Second, ErrEnding},
		"it ends now":                {0, ErrEnded},
		"it has ended":               {-time.Hour, ErrEnded},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckExpiry(&x509.Certificate{NotAfter: now.Add(test.left)}, now)
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}
