package hsm

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"

	"github.com/miekg/pkcs11"
)

// An object is any object on the token.
type object struct {
	handle pkcs11.ObjectHandle
	class  uint
	id     []byte
	label  string
}

func (o object) ref() KeyRef { return KeyRef{ID: o.id, Label: o.label} }

// A session sees private objects, too, because the login belongs to the process.
type session struct {
	module *pkcs11.Ctx
	handle pkcs11.SessionHandle
	allow  Exceptions
	log    *slog.Logger
}

// maxObjects is how many objects a token may show. A module that finds objects without end would fill the memory.
const maxObjects = 10_000

// all returns every object that matches the template.
func (s session) all(template ...*pkcs11.Attribute) (found []object, err error) {
	if err := s.module.FindObjectsInit(s.handle, template); err != nil {
		return nil, err
	}
	var handles []pkcs11.ObjectHandle
	for {
		some, _, err := s.module.FindObjects(s.handle, 64)
		if err != nil {
			return nil, errors.Join(err, s.module.FindObjectsFinal(s.handle))
		}
		if len(some) == 0 {
			break
		}
		handles = append(handles, some...)
		if len(handles) > maxObjects {
			return nil, errors.Join(refuse(ErrTokenUnfit, "the token shows more than %d objects", maxObjects), s.module.FindObjectsFinal(s.handle))
		}
	}
	if err := s.module.FindObjectsFinal(s.handle); err != nil {
		return nil, err
	}
	for _, handle := range handles {
		one, err := s.object(handle)
		if err != nil {
			return nil, err
		}
		found = append(found, one)
	}
	return found, nil
}

func (s session) object(handle pkcs11.ObjectHandle) (object, error) {
	class, err := s.value(handle, pkcs11.CKA_CLASS)
	if err != nil {
		return object{}, fmt.Errorf("reading CKA_CLASS: %w", err)
	}
	id, err := s.optional(handle, pkcs11.CKA_ID)
	if err != nil {
		return object{}, fmt.Errorf("reading CKA_ID: %w", err)
	}
	label, err := s.optional(handle, pkcs11.CKA_LABEL)
	if err != nil {
		return object{}, fmt.Errorf("reading CKA_LABEL: %w", err)
	}
	return object{handle: handle, class: ulong(class), id: id, label: unpadded(string(label))}, nil
}

// value reads one attribute, and no other with it.
func (s session) value(handle pkcs11.ObjectHandle, attribute uint) ([]byte, error) {
	got, err := s.module.GetAttributeValue(s.handle, handle, []*pkcs11.Attribute{pkcs11.NewAttribute(attribute, nil)})
	if err != nil || len(got) != 1 {
		return nil, err
	}
	return got[0].Value, nil
}

// optional reads an attribute that objects of some classes do not have; nil: it is not there.
func (s session) optional(handle pkcs11.ObjectHandle, attribute uint) ([]byte, error) {
	value, err := s.value(handle, attribute)
	if errors.Is(err, pkcs11.Error(pkcs11.CKR_ATTRIBUTE_TYPE_INVALID)) {
		return nil, nil
	}
	return value, err
}

// ulong decodes a CK_ULONG, which has this machine's byte order and size.
func ulong(value []byte) uint {
	switch len(value) {
	case 4:
		return uint(binary.NativeEndian.Uint32(value))
	case 8:
		return uint(binary.NativeEndian.Uint64(value))
	}
	return ^uint(0)
}

// curves are the named curves of CKA_EC_PARAMS (RFC 5480 section 2.1.1.1).
var curves = []struct {
	oid   asn1.ObjectIdentifier
	curve elliptic.Curve
}{
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}, elliptic.P256()},
	{asn1.ObjectIdentifier{1, 3, 132, 0, 34}, elliptic.P384()},
	{asn1.ObjectIdentifier{1, 3, 132, 0, 35}, elliptic.P521()},
}

// publicKey decodes CKA_EC_PARAMS and CKA_EC_POINT (PKCS#11 v2.40 section 2.3.3).
func (s session) publicKey(handle pkcs11.ObjectHandle) (*ecdsa.PublicKey, error) {
	params, err := s.value(handle, pkcs11.CKA_EC_PARAMS)
	if err != nil {
		return nil, fmt.Errorf("reading CKA_EC_PARAMS: %w", err)
	}
	point, err := s.value(handle, pkcs11.CKA_EC_POINT)
	if err != nil {
		return nil, fmt.Errorf("reading CKA_EC_POINT: %w", err)
	}
	for _, c := range curves {
		oid, err := asn1.Marshal(c.oid)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(oid, params) {
			continue
		}
		// The length decides: some tokens leave out the header of the OCTET STRING.
		octets := point
		if len(point) != 1+2*((c.curve.Params().BitSize+7)/8) {
			if rest, err := asn1.Unmarshal(point, &octets); err != nil || len(rest) > 0 {
				return nil, refuse(ErrKeyUnreadable, "CKA_EC_POINT %x is neither a point nor a DER OCTET STRING with one", point)
			}
		}
		public, err := ecdsa.ParseUncompressedPublicKey(c.curve, octets)
		if err != nil {
			return nil, refuse(ErrKeyUnreadable, "CKA_EC_POINT %x: %w", point, err)
		}
		return public, nil
	}
	return nil, refuse(ErrKeyUnreadable, "curve %x is none of P-256, P-384, P-521", params)
}
