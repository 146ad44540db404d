package issuance

import (
	"encoding/asn1"
	"fmt"
	"strconv"
	"strings"
)

// HardwareModuleConfig is the hardwareModuleName of RFC 4108 section 5, an otherName in the subject alternative name.
// IEEE 802.1AR uses it to name the module that holds the key.
type HardwareModuleConfig struct {
	Type         string `yaml:"type" json:"type"`                   // OID of the kind of hardware, below the maker's own arc
	SerialNumber string `yaml:"serial_number" json:"serial_number"` // one of the variables
}

var (
	oidSAN                = asn1.ObjectIdentifier{2, 5, 29, 17}              // RFC 5280 section 4.2.1.6
	oidHardwareModuleName = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 4} // id-on-hardwareModuleName, RFC 4108 section 5
)

func (p *Profile) hardwareSerial() string {
	if p.config.HardwareModule == nil {
		return ""
	}
	return p.config.HardwareModule.SerialNumber
}

func checkHardwareModule(p *Profile) error {
	module := p.config.HardwareModule
	if module == nil {
		return nil
	}
	if _, err := parseOID(module.Type); err != nil {
		return fmt.Errorf("hardware_module_name.type %q: %w", module.Type, err)
	}
	if module.SerialNumber != hardwareIDVariable && module.SerialNumber != boardIDVariable {
		return fmt.Errorf("hardware_module_name.serial_number %q: want %s or %s", module.SerialNumber, hardwareIDVariable, boardIDVariable)
	}
	return nil
}

const (
	maxOIDArcs = 20
	maxOIDArc  = 1<<31 - 1 // the largest arc of asn1.ObjectIdentifier on every platform
)

// parseOID reads an OID in digits and points (X.660).
func parseOID(text string) (oid asn1.ObjectIdentifier, err error) {
	arcs := strings.Split(text, ".")
	if len(arcs) < 3 || len(arcs) > maxOIDArcs {
		return nil, fmt.Errorf("want an OID of 3 to %d numbers with points between, such as 1.3.6.1.4.1.32473.1", maxOIDArcs)
	}
	for _, arc := range arcs {
		n, err := strconv.ParseUint(arc, 10, 31)
		if err != nil || strconv.FormatUint(n, 10) != arc || n > maxOIDArc {
			return nil, fmt.Errorf("%q is no number of an OID, want digits without leading zeros, at most %d", arc, maxOIDArc)
		}
		oid = append(oid, int(n))
	}
	if oid[0] > 2 || oid[0] < 2 && oid[1] > 39 {
		return nil, fmt.Errorf("no OID begins with %d.%d (X.660)", oid[0], oid[1])
	}
	return oid, nil
}

// otherName is the form of a GeneralName that has a hardwareModuleName (RFC 5280 section 4.2.1.6, RFC 4108 section 5).
type otherName struct {
	ID    asn1.ObjectIdentifier
	Value hardwareModuleName `asn1:"explicit,tag:0"`
}

type hardwareModuleName struct {
	Type   asn1.ObjectIdentifier
	Serial []byte
}

// alternativeName gives the subject alternative name of a board, if the profile has one. It is not critical, because the
// subject is not empty (RFC 5280 section 4.2.1.6).
func (p *Profile) alternativeName(b board) ([]extension, error) {
	module := p.config.HardwareModule
	if module == nil {
		return nil, nil
	}
	kind, err := parseOID(module.Type)
	if err != nil {
		return nil, err
	}
	serial := []byte(b.hardware) // hwSerialNum is an OCTET STRING: the octets themselves, not their text
	if module.SerialNumber == boardIDVariable {
		serial = b.id[:]
	}
	name, err := asn1.MarshalWithParams(otherName{oidHardwareModuleName, hardwareModuleName{kind, serial}}, "tag:0")
	if err != nil {
		return nil, err
	}
	value, err := asn1.Marshal([]asn1.RawValue{raw(name)})
	return []extension{{ID: oidSAN, Value: value}}, err
}
