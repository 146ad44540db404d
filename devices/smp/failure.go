package smp

import "fmt"

// Codes of SMP itself in `rc` (SMP specification, "Status/error codes").
const (
	RCInvalid     = 3 // EINVAL: the body is not a well-formed map
	RCUnsupported = 8 // ENOTSUP: unknown group or command
)

// A Failure is a board's answer that it did not do the request.
type Failure struct {
	// Grouped: RC is a code of the group's own table (`err`); otherwise of SMP's table (`rc`).
	Grouped bool
	Group   uint16
	RC      uint32
}

func (f *Failure) Error() string {
	if f.Grouped {
		return fmt.Sprintf("board answers err %d of group %d", f.RC, f.Group)
	}
	return fmt.Sprintf("board answers rc %d", f.RC)
}

var (
	rcForm  = form{{key: "rc", kind: uintKind, most: 0xffff}}
	errForm = form{{key: "err", kind: mapKind, inner: form{
		{key: "group", kind: uintKind, most: 0xffff},
		{key: "rc", kind: uintKind, most: 0xffff},
	}}}
)

// AppendRequest appends the message of a request (header and body) to dst.
func AppendRequest(dst []byte, sequence uint8, request Request) ([]byte, error) {
	body, err := Marshal(request)
	if err != nil {
		return dst, err
	}
	c := request.Command()
	h := Header{Op: c.Op, Version: Version, Group: c.Group, Sequence: sequence, Command: c.ID}
	return AppendMessage(dst, h, body), nil
}

// Parse decodes header and body of a message. When the response reports a failure, the
// error is a *[Failure]; every other error wraps [ErrMalformed].
func Parse(message []byte, body Body) (Header, error) {
	h, encoded, err := ParseHeader(message)
	if err != nil {
		return h, err
	}
	split, err := pairsOf(encoded)
	if err != nil {
		return h, err
	}
	if h.Op == ReadResponse || h.Op == WriteResponse {
		done, err := failure(split)
		if done || err != nil {
			return h, err
		}
	}
	return h, unmarshal(encoded, split, body)
}

// failure reads `rc` and `err`. done is true for `{"rc": 0}` without other keys, which
// an older MCUmgr sends as the success of a request without results.
func failure(split pairs) (done bool, err error) {
	var said struct {
		RC  uint32
		Err struct {
			Group uint16 `cbor:"group"`
			RC    uint32 `cbor:"rc"`
		}
	}
	if raw, ok := split.value("rc"); ok {
		if err := rcForm.check(split); err != nil {
			return false, err
		}
		if err := strict.Unmarshal(raw, &said.RC); err != nil {
			return false, fmt.Errorf("%w: %v", ErrMalformed, err)
		}
		if said.RC == 0 {
			return true, nil
		}
		return false, &Failure{RC: said.RC}
	}
	if raw, ok := split.value("err"); ok {
		if err := errForm.check(split); err != nil {
			return false, err
		}
		if err := strict.Unmarshal(raw, &said.Err); err != nil {
			return false, fmt.Errorf("%w: %v", ErrMalformed, err)
		}
		return false, &Failure{Grouped: true, Group: said.Err.Group, RC: said.Err.RC}
	}
	return false, nil
}
