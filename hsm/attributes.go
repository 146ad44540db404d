package hsm

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/pkcs11"
)

// An Answer is the token's answer about a yes-or-no attribute (CK_BBOOL).
type Answer int

const (
	No Answer = iota
	Yes
	// Unsupported: the token does not know the attribute
	// (CKR_ATTRIBUTE_TYPE_INVALID) or has no value for it.
	Unsupported
)

func (a Answer) String() string { return [...]string{"no", "yes", "unsupported"}[a] }

// A Rule is one row of the key policy.
type Rule struct {
	Name      string // as in PKCS#11 v2.40 section 4.9
	Attribute uint
	Want      Answer
	// Required: any other answer than Want, also Unsupported, refuses the key. A rule
	// that is not required is a wish, which `station doctor` shows.
	Required bool
}

// Policy returns the rules for every private key. EXTRACTABLE alone proves little:
// a key that was imported, unwrapped or once extractable may have it false, but such
// a key has ALWAYS_SENSITIVE, NEVER_EXTRACTABLE or LOCAL false.
func Policy() []Rule {
	return []Rule{
		{"CKA_SENSITIVE", pkcs11.CKA_SENSITIVE, Yes, true},
		{"CKA_ALWAYS_SENSITIVE", pkcs11.CKA_ALWAYS_SENSITIVE, Yes, true},
		{"CKA_EXTRACTABLE", pkcs11.CKA_EXTRACTABLE, No, true},
		{"CKA_NEVER_EXTRACTABLE", pkcs11.CKA_NEVER_EXTRACTABLE, Yes, true},
		{"CKA_LOCAL", pkcs11.CKA_LOCAL, Yes, true},
		{"CKA_SIGN", pkcs11.CKA_SIGN, Yes, true},
		{"CKA_TOKEN", pkcs11.CKA_TOKEN, Yes, true},
		{"CKA_PRIVATE", pkcs11.CKA_PRIVATE, Yes, true},
		{"CKA_DECRYPT", pkcs11.CKA_DECRYPT, No, false},
		{"CKA_DERIVE", pkcs11.CKA_DERIVE, No, false},
		{"CKA_UNWRAP", pkcs11.CKA_UNWRAP, No, false},
		{"CKA_SIGN_RECOVER", pkcs11.CKA_SIGN_RECOVER, No, false},
		{"CKA_MODIFIABLE", pkcs11.CKA_MODIFIABLE, No, false},
	}
}

// An Attribute is the token's answer to one rule.
type Attribute struct {
	Rule
	Got Answer
}

// Attributes are the answers to all rules of [Policy], in its order.
type Attributes []Attribute

// readAttributes reads each attribute alone, because one attribute that the token
// does not know makes a joint request fail as a whole.
func readAttributes(read func(attribute uint) ([]byte, error)) (Attributes, error) {
	var all Attributes
	for _, rule := range Policy() {
		got, err := answer(read, rule.Attribute)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", rule.Name, err)
		}
		all = append(all, Attribute{rule, got})
	}
	return all, nil
}

func answer(read func(uint) ([]byte, error), attribute uint) (Answer, error) {
	value, err := read(attribute)
	switch {
	case errors.Is(err, pkcs11.Error(pkcs11.CKR_ATTRIBUTE_TYPE_INVALID)):
		return Unsupported, nil
	case err != nil:
		return Unsupported, err
	case len(value) != 1: // CK_BBOOL is one octet
		return Unsupported, nil
	case value[0] == 0:
		return No, nil
	}
	return Yes, nil
}

// String returns the answers in the order of Policy, as text for an audit log.
func (a Attributes) String() string {
	var all []string
	for _, one := range a {
		all = append(all, fmt.Sprintf("%s %v", one.Name, one.Got))
	}
	return strings.Join(all, ", ")
}

// got returns the answer about one attribute.
func (a Attributes) got(attribute uint) Answer {
	for _, one := range a {
		if one.Attribute == attribute {
			return one.Got
		}
	}
	return Unsupported
}

// refused returns nil, or ErrKeyExtractable with every required rule that is not met and not excused. If one more exception would
// excuse all of them, the error names it.
func (a Attributes) refused(ref KeyRef, allow Exceptions) error {
	broken := a.broken(allow)
	if broken == nil {
		return nil
	}
	hint := ""
	for _, one := range []struct {
		exception Exception
		when      string
	}{{RestoredKeys, "if the key came back from a backup"}, {OriginUnknown, "if this kind of token does not know where a key came from"}} {
		if a.broken(append(slices.Clone(allow), one.exception)) == nil {
			hint = fmt.Sprintf("; %s, write hsm.exceptions: [%s]", one.when, append(slices.Clone(allow), one.exception))
		}
	}
	return refuse(ErrKeyExtractable, "%s: %s%s", ref, strings.Join(broken, ", "), hint)
}

func (a Attributes) broken(allow Exceptions) (broken []string) {
	for _, one := range a {
		if one.Required && one.Got != one.Want && !allow.excuse(one, a) {
			broken = append(broken, fmt.Sprintf("%s is %v", one.Name, one.Got))
		}
	}
	return broken
}
