package configs

import (
	"errors"
	"fmt"
	"strconv"
)

// Orders says whose signature a work order needs.
type Orders struct {
	// Owners are files with the public keys of the owners of products (PEM, ECDSA P-256), relative to the station directory.
	Owners []string `yaml:"owners"`
	// SignedOnly refuses work orders that no owner has signed, and Runs without a work order.
	SignedOnly bool `yaml:"signed_only"`
}

// maxOwners bounds the files that each start reads.
const maxOwners = 16

// NeedsOrder reports whether each Run needs a work order. With signed orders only, a Run without an order would be a
// way around the bounds that the owner has signed.
func (c *Config) NeedsOrder() bool { return c.RequireOrder || c.Orders.SignedOnly }

func (o *Orders) check() error {
	err := checkRange("number of orders.owners", len(o.Owners), 0, maxOwners)
	seen := map[string]bool{}
	for i, path := range o.Owners {
		if path == "" || seen[path] {
			err = errors.Join(err, &ValueError{fmt.Sprintf("orders.owners[%d]", i), strconv.Quote(path), "the path of a file that no other line names", "name the public key of each owner once"})
		}
		seen[path] = true
	}
	if o.SignedOnly && len(o.Owners) == 0 {
		err = errors.Join(err, &ValueError{"orders.signed_only", "true", "false, or at least one owner", "add the file with the owner's public key to orders.owners"})
	}
	return err
}
