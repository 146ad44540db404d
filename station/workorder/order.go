// Package workorder has the files that the owner of a product and a station exchange. The owner signs an order
// offline, a station works it off offline, and answers with a closure that its audit key has signed.
//
// A signature is a file beside the signed file, over the exact octets of that file, so one openssl command verifies it:
//
//	openssl dgst -sha256 -verify owner.pub -signature ORDER.signed.sig ORDER.signed
//	openssl cms -verify -binary -inform DER -in CLOSURE.p7s -content CLOSURE -CAfile root.pem -out /dev/null
package workorder

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"hallmark/configs/strict"
	"hallmark/station/audit"
	"hallmark/station/reason"
)

// MaxFile is the largest order file, in octets. It fits into one request of the control socket.
const MaxFile = 16 << 10

// Bounds of an order.
const (
	maxQuota    = 1_000_000
	maxImages   = 15 // as many as an entry of the audit log can list
	maxProfiles = 2  // one for each purpose of a key
	maxStations = 64
)

// Refusals of an order file.
var (
	ErrFile      = reason.New("order-file", "not an order file that can be used")
	ErrForged    = reason.New("order-forged", "the signature is not that of the owner over this file: one of them was changed")
	ErrOwner     = reason.New("order-owner", "work order is of an owner whose key was not given")
	ErrElsewhere = reason.New("order-elsewhere", "work order gives this station no share")
)

// An Order says how many boards of a product stations may certify. The owner of the product signs it.
type Order struct {
	ID        string
	Revision  int64 // a later file for the same order has a greater one
	Product   string
	Lot       string              // may be empty
	Profiles  [][sha256.Size]byte // by which certificates may be signed; at least one
	Firmware  [][sha256.Size]byte // images that the boards may run; none: any image
	Quota     int64               // boards, at all stations together
	NotBefore time.Time           // no Run begins before; zero: any time
	Until     time.Time           // no Run begins at this time or later
	Shares    []Share
	Owner     [sha256.Size]byte // SHA-256 of the public key of the owner (SubjectPublicKeyInfo); zero in a file that nobody has signed
	SHA256    [sha256.Size]byte // of the file
}

// A Share is the part of the quota that one station may use.
type Share struct {
	Station string // verifier key of the audit log of the station, as in its pki/audit.vkey
	Boards  int64
}

// file is the form of an order file.
type file struct {
	Order     string   `yaml:"order"`
	Revision  int64    `yaml:"revision"`
	Product   string   `yaml:"product"`
	Lot       string   `yaml:"lot"`
	Profiles  []string `yaml:"profiles"`
	Firmware  []string `yaml:"firmware"`
	Quota     int64    `yaml:"quota"`
	NotBefore string   `yaml:"not_before"`
	Until     string   `yaml:"until"`
	Stations  []struct {
		Key   string `yaml:"key"`
		Share int64  `yaml:"share"`
	} `yaml:"stations"`
	Owner string `yaml:"owner"`
}

// Parse reads an order file. name is the name of the file in errors.
func Parse(name string, text []byte) (*Order, error) {
	if len(text) > MaxFile {
		return nil, fmt.Errorf("%s: %w: it has %d octets, want at most %d", name, ErrFile, len(text), MaxFile)
	}
	var f file
	if err := strict.Decode(name, text, &f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	order, err := f.order()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", name, ErrFile, err)
	}
	order.SHA256 = sha256.Sum256(text)
	return order, nil
}

func (f *file) order() (*Order, error) {
	o := &Order{ID: f.Order, Revision: f.Revision, Product: f.Product, Lot: f.Lot, Quota: f.Quota}
	var errs [7]error
	o.Profiles, errs[0] = digests("profiles", f.Profiles, maxProfiles)
	o.Firmware, errs[1] = digests("firmware", f.Firmware, maxImages)
	o.NotBefore, errs[2] = moment("not_before", f.NotBefore)
	o.Until, errs[3] = moment("until", f.Until)
	o.Shares, errs[4] = f.shares()
	if f.Owner != "" {
		errs[5] = digest(&o.Owner, "owner", f.Owner)
	}
	errs[6] = o.check()
	return o, errors.Join(errs[:]...)
}

func (o *Order) check() error {
	var errs []error
	for _, text := range []struct{ key, value string }{{"order", o.ID}, {"product", o.Product}} {
		if err := reason.CheckText(text.value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", text.key, err))
		}
	}
	errs = append(errs, reason.CheckOptional("lot", o.Lot))
	switch {
	case o.Revision < 1 || o.Revision > maxQuota:
		errs = append(errs, fmt.Errorf("revision %d: want 1 for the first file of an order, and a greater one for each later file", o.Revision))
	case o.Quota < 1 || o.Quota > maxQuota:
		errs = append(errs, fmt.Errorf("quota %d: want 1 to %d boards", o.Quota, maxQuota))
	case len(o.Profiles) == 0:
		errs = append(errs, errors.New("profiles: want the SHA-256 of the profile, as `station audit show --type log.genesis` prints it"))
	case o.Until.IsZero():
		errs = append(errs, errors.New("until: want the time at which the order ends"))
	case !o.Until.After(o.NotBefore):
		errs = append(errs, fmt.Errorf("until: %s is not after not_before", o.Until.Format(time.RFC3339)))
	case o.allotted() > o.Quota:
		errs = append(errs, fmt.Errorf("stations: their shares are %s together, and the quota is %d", reason.Count(o.allotted(), "board", "boards"), o.Quota))
	}
	return errors.Join(errs...)
}

// allotted is the sum of all shares.
func (o *Order) allotted() (sum int64) {
	for _, share := range o.Shares {
		sum += share.Boards
	}
	return sum
}

// shares reads the shares of the stations. Each station has one: two lines of one station would be two bounds.
func (f *file) shares() (shares []Share, err error) {
	if len(f.Stations) < 1 || len(f.Stations) > maxStations {
		return nil, fmt.Errorf("stations: want 1 to %d stations, not %d", maxStations, len(f.Stations))
	}
	seen := map[string]bool{}
	for i, s := range f.Stations {
		at := fmt.Sprintf("stations[%d]", i)
		switch {
		case audit.CheckVerifierKey(s.Key) != nil:
			err = errors.Join(err, fmt.Errorf("%s.key: want the text of pki/audit.vkey of the station", at))
		case seen[s.Key]:
			err = errors.Join(err, fmt.Errorf("%s.key: the station has a share already", at))
		case s.Share < 1 || s.Share > maxQuota:
			err = errors.Join(err, fmt.Errorf("%s.share %d: want 1 to %d boards", at, s.Share, maxQuota))
		}
		seen[s.Key] = true
		shares = append(shares, Share{s.Key, s.Share})
	}
	return shares, err
}

// Share gives the boards that a station may certify, by the verifier key of the station.
func (o *Order) Share(station string) (int64, error) {
	i := slices.IndexFunc(o.Shares, func(s Share) bool { return s.Station == station })
	if i < 0 {
		var names []string
		for _, s := range o.Shares {
			name, _, _ := strings.Cut(s.Station, "+")
			names = append(names, name)
		}
		return 0, fmt.Errorf("%w: %q is for %s, each with its audit key", ErrElsewhere, o.ID, strings.Join(names, ", "))
	}
	return o.Shares[i].Boards, nil
}

// Allows reports whether certificates of the order may be signed by a profile with this SHA-256.
func (o *Order) Allows(profile [sha256.Size]byte) bool { return slices.Contains(o.Profiles, profile) }

func digests(key string, texts []string, most int) (all [][sha256.Size]byte, err error) {
	if len(texts) > most {
		return nil, fmt.Errorf("%s: want at most %d, not %d", key, most, len(texts))
	}
	for i, text := range texts {
		var sum [sha256.Size]byte
		err = errors.Join(err, digest(&sum, fmt.Sprintf("%s[%d]", key, i), text))
		all = append(all, sum)
	}
	return all, err
}

func digest(into *[sha256.Size]byte, key, text string) error {
	octets, err := hex.DecodeString(text)
	if err != nil || len(octets) != sha256.Size {
		return fmt.Errorf("%s: want a SHA-256 value of 64 hexadecimal digits", key)
	}
	*into = [sha256.Size]byte(octets)
	return nil
}

// moment reads a day or a time. An empty text is the zero time.
func moment(key, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(form, text); err == nil && !at.IsZero() {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%s: want a day such as 2026-11-28, or a time such as 2026-11-28T07:00:00Z", key)
}
