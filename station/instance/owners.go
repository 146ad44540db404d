package instance

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"hallmark/configs"
	"hallmark/station/workdir"
	"hallmark/station/workorder"
)

// readOwners reads the public keys of the owners whose work orders the station takes. A file that everybody may write is
// refused, because its writer could order boards.
func readOwners(dir workdir.Dir, config *configs.Config) (owners []workorder.Owner, err error) {
	for i, path := range config.Orders.Owners {
		if !filepath.IsAbs(path) {
			path = dir.In(path)
		}
		text, err := workdir.ReadCode(path)
		if err != nil {
			return nil, fmt.Errorf("orders.owners[%d]: %w", i, err)
		}
		owner, err := workorder.ParseOwner(text)
		if err != nil {
			return nil, fmt.Errorf("orders.owners[%d]: %s: %w", i, path, err)
		}
		owners = append(owners, owner)
	}
	return owners, nil
}

// ownerSums are the SHA-256 of the owners' keys.
func (f *Files) ownerSums() (sums [][sha256.Size]byte) {
	for _, owner := range f.Owners {
		sums = append(sums, owner.SHA256)
	}
	return sums
}

// ownersFact names the owners' keys in the entry of a start; empty: there are none.
func (f *Files) ownersFact() string {
	var all []string
	for _, sum := range f.ownerSums() {
		all = append(all, fmt.Sprintf("%x", sum[:8]))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}
