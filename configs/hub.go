package configs

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"hallmark/station/outbox"
)

func (h *Hub) validate() error {
	if h.URL == "" {
		return nil
	}
	err := address("hub.url", h.URL)
	if !strings.HasPrefix(h.URL, "https://") {
		err = errors.Join(err, &ValueError{"hub.url", strconv.Quote(h.URL), "https, because the station is known to the hub by its TLS certificate", "write https://"})
	}
	if h.CA != "" && !filepath.IsAbs(h.CA) {
		err = errors.Join(err, &ValueError{"hub.ca", strconv.Quote(h.CA), "an absolute path", "leave the key out to use the CAs of this machine"})
	}
	for key, kinds := range map[string][]string{"hub.stop": h.Stop, "hub.hold": h.Hold} {
		for i, kind := range kinds {
			if !slices.Contains(outbox.Kinds(), kind) {
				err = errors.Join(err, &ValueError{fmt.Sprintf("%s[%d]", key, i), strconv.Quote(kind), "one of " + strings.Join(outbox.Kinds(), ", "), "correct the finding"})
			}
		}
	}
	return err
}
