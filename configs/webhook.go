package configs

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"hallmark/station"
)

// maxWebhooks bounds the connections beside the Runs.
const maxWebhooks = 8

// webhookForm is narrow because the name is that of a file.
var webhookForm = form{regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$`), 32}

// webhookEndings are the endings that a webhook can choose.
var webhookEndings = []string{string(station.Pass), string(station.Reject), string(station.Fault), string(station.Aborted)}

func (c *Config) webhooks() error {
	err := checkRange("number of webhooks", len(c.Webhooks), 0, maxWebhooks)
	names := map[string]bool{}
	for i, w := range c.Webhooks {
		at := fmt.Sprintf("webhooks[%d].", i)
		err = errors.Join(err, w.validate(at))
		if names[w.Name] {
			err = errors.Join(err, &ValueError{at + "name", strconv.Quote(w.Name), "a name that no other webhook has", "name each webhook once: its name is that of its outbox"})
		}
		names[w.Name] = true
	}
	return err
}

func (w *Webhook) validate(at string) error {
	err := address(at+"url", w.URL)
	if !webhookForm.fits(w.Name) {
		err = errors.Join(err, &ValueError{at + "name", strconv.Quote(w.Name), "1 to 32 lower-case letters, digits or hyphens", "choose another name"})
	}
	if !filepath.IsAbs(w.SecretFile) {
		err = errors.Join(err, &ValueError{at + "secret_file", strconv.Quote(w.SecretFile), "the absolute path of a file", "make one: `(umask 077; openssl rand -base64 32 >FILE)`"})
	}
	if w.CA != "" && !filepath.IsAbs(w.CA) {
		err = errors.Join(err, &ValueError{at + "ca", strconv.Quote(w.CA), "an absolute path", "leave the key out to use the CAs of this machine"})
	}
	for i, ending := range w.Endings {
		if !slices.Contains(webhookEndings, ending) {
			err = errors.Join(err, &ValueError{fmt.Sprintf("%sendings[%d]", at, i), strconv.Quote(ending), strings.Join(webhookEndings, ", "), "leave the key out for all endings"})
		}
	}
	return err
}
