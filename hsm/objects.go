package hsm

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/miekg/pkcs11"
)

// An object is any object on the token. crypto11 shows complete key pairs only.
type object struct {
	handle pkcs11.ObjectHandle
	class  uint
	id     []byte
	label  string
}

func (o object) ref() KeyRef { return KeyRef{ID: o.id, Label: o.label} }

// A session is one more session beside those of crypto11. Most sessions only read. The login
// belongs to the process, so the session sees private objects, too.
type session struct {
	module *pkcs11.Ctx
	handle pkcs11.SessionHandle
}

// Kinds of sessions (PKCS#11 v2.40 section 5.6, C_OpenSession).
const (
	readOnly  = pkcs11.CKF_SERIAL_SESSION
	readWrite = pkcs11.CKF_SERIAL_SESSION | pkcs11.CKF_RW_SESSION
)

// withSession opens a session that only reads, calls use with it, and closes the session.
func withSession[T any](ctx context.Context, t *Token, c *connection, use func(session) (T, error)) (T, error) {
	return withSessionOf(ctx, t, c, readOnly, use)
}

func withSessionOf[T any](ctx context.Context, t *Token, c *connection, kind uint, use func(session) (T, error)) (result T, err error) {
	module, err := load(c.cfg.Module)
	if err != nil {
		return result, err
	}
	defer module.Destroy()
	own, err := t.openSession(ctx, module, c, kind)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, own.close()) }()
	return use(own.session)
}

// An ownSession is a session and what must be closed with it.
type ownSession struct {
	session
	ownsModule bool
}

// openSession opens a session. Some modules, such as p11-kit's client, keep their
// state for each function list and not for the process. There openSession initialises
// the module and logs in again.
func (t *Token) openSession(ctx context.Context, module *pkcs11.Ctx, c *connection, kind uint) (ownSession, error) {
	s := ownSession{session: session{module: module}}
	_, err := module.GetInfo()
	if errors.Is(err, pkcs11.Error(pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED)) {
		if err := module.Initialize(); err != nil {
			return ownSession{}, err
		}
		s.ownsModule = true
	}
	if s.handle, err = module.OpenSession(c.tokenInfo.slot, kind); err != nil {
		return ownSession{}, errors.Join(err, s.finaliseModule())
	}
	if !s.ownsModule {
		return s, nil
	}
	if err := t.loginAgain(ctx, s.session, c.tokenInfo.slot); err != nil {
		return ownSession{}, errors.Join(t.latchFinal(err), s.close())
	}
	return s, nil
}

// loginAgain logs in a session that does not share crypto11's login. It follows the
// same rules: it checks the PIN flags first, and never tries a second time.
func (t *Token) loginAgain(ctx context.Context, s session, slot uint) error {
	info, err := s.module.GetTokenInfo(slot)
	if err != nil {
		return err
	}
	if err := pinFlags(t.cfg, info.Flags); err != nil {
		return err
	}
	pin, err := t.pin.ask(ctx)
	if err != nil {
		return err
	}
	defer pin.Wipe()
	return explain("logging in to "+t.cfg.selector(), s.module.Login(s.handle, pkcs11.CKU_USER, pin.reveal()))
}

func (s ownSession) close() error {
	return errors.Join(s.module.CloseSession(s.handle), s.finaliseModule())
}

func (s ownSession) finaliseModule() error {
	if !s.ownsModule {
		return nil
	}
	return s.module.Finalize()
}

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
	return object{handle: handle, class: ulong(class), id: id, label: string(label)}, nil
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
		var octets []byte
		if rest, err := asn1.Unmarshal(point, &octets); err != nil || len(rest) > 0 {
			return nil, refuse(ErrKeyUnreadable, "CKA_EC_POINT %x is not a DER OCTET STRING", point)
		}
		return ecdsa.ParseUncompressedPublicKey(c.curve, octets)
	}
	return nil, refuse(ErrKeyUnreadable, "curve %x is none of P-256, P-384, P-521", params)
}
