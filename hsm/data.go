package hsm

import (
	"context"
	"errors"

	"github.com/miekg/pkcs11"
)

// dataApplication is the CKA_APPLICATION of all data objects of this program.
const dataApplication = "hallmark"

// Data returns the values of the data objects with this label (PKCS#11 v2.40 section 4.5), in
// no order. Usually there is one object. After a kill between the two halves of StoreData
// there are two. An object that cannot be read is left out.
func (t *Token) Data(ctx context.Context, label string) ([][]byte, error) {
	return call(ctx, t, "reading the data object "+label, func(c *connection) ([][]byte, error) {
		return withSession(c, func(s session) (values [][]byte, err error) {
			objects, err := s.data(label)
			for _, o := range objects {
				if value, bad := s.value(o, pkcs11.CKA_VALUE); bad == nil && len(value) > 0 {
					values = append(values, value)
				}
			}
			return values, err
		})
	})
}

// AllData returns the values of all data objects of this program, by label, in the same way.
func (t *Token) AllData(ctx context.Context) (map[string][][]byte, error) {
	return call(ctx, t, "reading the data objects", func(c *connection) (map[string][][]byte, error) {
		return withSession(c, func(s session) (map[string][][]byte, error) {
			objects, err := s.all(dataTemplate("")...)
			if err != nil {
				return nil, err
			}
			found := map[string][][]byte{}
			for _, o := range objects {
				if value, bad := s.value(o.handle, pkcs11.CKA_VALUE); bad == nil && len(value) > 0 {
					found[o.label] = append(found[o.label], value)
				}
			}
			return found, nil
		})
	})
}

// StoreData replaces the data objects with this label by one with this value. The new object
// is there before the old objects go. Only a user who knows the PIN can change the object
// (CKA_PRIVATE). Tokens without room, and tokens that allow no data objects, return an error.
func (t *Token) StoreData(ctx context.Context, label string, value []byte) error {
	_, err := call(ctx, t, "storing the data object "+label, func(c *connection) (struct{}, error) {
		return withSession(c, func(s session) (struct{}, error) {
			return struct{}{}, s.replaceData(label, value)
		})
	})
	return err
}

func (s session) replaceData(label string, value []byte) error {
	old, err := s.data(label)
	if err != nil {
		return err
	}
	template := append(dataTemplate(label), pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true), pkcs11.NewAttribute(pkcs11.CKA_VALUE, value))
	if _, err := s.module.CreateObject(s.handle, template); err != nil {
		return err
	}
	var errs []error
	for _, o := range old {
		errs = append(errs, s.module.DestroyObject(s.handle, o))
	}
	return errors.Join(errs...)
}

// dataTemplate fits the data objects of this program with this label. The empty label fits all of them.
func dataTemplate(label string) []*pkcs11.Attribute {
	template := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_DATA),
		pkcs11.NewAttribute(pkcs11.CKA_APPLICATION, dataApplication),
	}
	if label != "" {
		template = append(template, pkcs11.NewAttribute(pkcs11.CKA_LABEL, label))
	}
	return template
}

// data finds the data objects with this label.
func (s session) data(label string) (handles []pkcs11.ObjectHandle, err error) {
	if err := s.module.FindObjectsInit(s.handle, dataTemplate(label)); err != nil {
		return nil, err
	}
	handles, _, err = s.module.FindObjects(s.handle, 16)
	return handles, errors.Join(err, s.module.FindObjectsFinal(s.handle))
}
