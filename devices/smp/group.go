package smp

// GroupProvisioning is the application group of this protocol (PROTOCOL.md section 4).
const GroupProvisioning = 64

// Limits of the group, in octets.
const (
	MaxSlot       = 1024 // contents of one slot of the store
	MaxCSR        = 768
	MaxServerName = 64
	MaxAddress    = 45 // an IPv6 literal with an IPv4 part
	MaxAnswer     = 64 // application data in one response
	maxMessage    = 0xffff
)

// Hello asks for the board's identity.
type Hello struct {
	Brief   bool   `cbor:"b,omitempty"` // ask only for ID, Boot and Stored
	Version uint32 `cbor:"v,omitempty"` // the newest protocol version of the station; 0: version 1, whose requests have no such key
}

// HelloResponse answers [Hello].
type HelloResponse struct {
	Version      uint32 `cbor:"v"`
	ID           []byte `cbor:"id"`
	HardwareID   []byte `cbor:"hw"`
	BoardType    string `cbor:"bt"`
	Firmware     string `cbor:"fw"`
	FirmwareHash []byte `cbor:"fh"`
	HUK          uint8  `cbor:"hs"`
	Caller       *int32 `cbor:"dc,omitempty"` // present exactly when HUK is 0 or 4
	LifeCycle    uint8  `cbor:"lc"`
	Stored       uint8  `cbor:"st"`
	ABI          uint32 `cbor:"ab"`
	Capabilities uint8  `cbor:"ca"`
	Purposes     uint8  `cbor:"pu"`
	Algorithm    string `cbor:"al,omitempty"` // of the board's keys; left out: ecdsa-p256
	Boot         []byte `cbor:"bi"`
	BufferSize   uint32 `cbor:"bs"` // as BufferSize of [ParamsResponse]
}

// BriefResponse answers [Hello] with Brief.
type BriefResponse struct {
	ID     []byte `cbor:"id"`
	Stored uint8  `cbor:"st"`
	Boot   []byte `cbor:"bi"`
}

// CSR asks for a PKCS#10 request. Purpose 0 is the default and is not sent.
type CSR struct {
	Nonce              []byte `cbor:"n"`
	Organization       string `cbor:"o"`
	OrganizationalUnit string `cbor:"ou"`
	Purpose            uint32 `cbor:"p,omitempty"`
}

// CSRResponse answers [CSR].
type CSRResponse struct {
	DER []byte `cbor:"csr"`
}

// WriteSlot carries a piece of a slot's new contents. Total is present exactly at
// offset 0, and there Hash, too, in protocol version 1. Commit is set in the last piece.
type WriteSlot struct {
	Slot   uint8  `cbor:"s"`
	Offset uint32 `cbor:"o"`
	Total  uint32 `cbor:"l,omitempty"`
	Hash   []byte `cbor:"h,omitempty"`
	Data   []byte `cbor:"d"`
	Commit bool   `cbor:"c,omitempty"`
}

// WriteSlotResponse answers [WriteSlot].
type WriteSlotResponse struct {
	Next uint32 `cbor:"o"` // offset of the next piece
}

// ReadSlot asks for the contents of a slot, from Offset on.
type ReadSlot struct {
	Slot   uint8  `cbor:"s"`
	Offset uint32 `cbor:"o"`
}

// ReadSlotResponse answers [ReadSlot].
type ReadSlotResponse struct {
	Total uint32 `cbor:"l"`
	Data  []byte `cbor:"d"`
}

// TLS opens the board's TLS session (Sequence 0), gives it input, or closes it.
type TLS struct {
	Sequence   uint32 `cbor:"q"`
	ServerName string `cbor:"sn,omitempty"` // with Sequence 0 only
	SendChain  bool   `cbor:"ch,omitempty"` // with Sequence 0 only
	Input      []byte `cbor:"i,omitempty"`  // octets from the server
	Close      bool   `cbor:"x,omitempty"`
}

// A TLSState is `st` of a TLS response.
type TLSState uint8

// The states of PROTOCOL.md section 4, "tls".
const (
	TLSClosed TLSState = iota
	TLSHandshaking
	TLSEstablished
	TLSFailed
)

// TLSResponse answers [TLS].
type TLSResponse struct {
	State    TLSState `cbor:"st"`
	Output   []byte   `cbor:"o,omitempty"` // octets for the server
	More     bool     `cbor:"m,omitempty"` // more output waits in the board
	Received []byte   `cbor:"r,omitempty"` // application data
	Error    int32    `cbor:"e,omitempty"` // of the TLS library
	Flags    uint32   `cbor:"vf,omitempty"`
}

// Net starts the handshake over the board's own network (Sequence 0), asks for its
// state, or closes it.
type Net struct {
	Sequence   uint32 `cbor:"q"`
	Address    string `cbor:"a,omitempty"`  // IPv4 or IPv6 literal; with Sequence 0 only
	Port       uint16 `cbor:"p,omitempty"`  // with Sequence 0 only
	ServerName string `cbor:"sn,omitempty"` // with Sequence 0 only
	SendChain  bool   `cbor:"ch,omitempty"` // with Sequence 0 only
	Close      bool   `cbor:"x,omitempty"`
}

// NetResponse answers [Net].
type NetResponse struct {
	State    TLSState `cbor:"st"`
	Received []byte   `cbor:"r,omitempty"` // application data
	Error    int32    `cbor:"e,omitempty"` // of the TLS library or of the connection
	Flags    uint32   `cbor:"vf,omitempty"`
}

// Receipt asks for a signature over the nonce and what the board is and holds.
type Receipt struct {
	Nonce []byte `cbor:"n"`
}

// ReceiptResponse answers [Receipt].
type ReceiptResponse struct {
	Signature []byte `cbor:"s"`
	Lock      uint8  `cbor:"lk,omitempty"`
}

// Update carries a piece of an update file. Total is present exactly at offset 0; Commit is set in the last piece.
type Update struct {
	Offset uint32 `cbor:"o"`
	Total  uint32 `cbor:"l,omitempty"`
	Data   []byte `cbor:"d"`
	Commit bool   `cbor:"c,omitempty"`
}

// UpdateResponse answers [Update].
type UpdateResponse struct {
	Next uint32 `cbor:"o"` // offset of the next piece
}

// Seal locks the store for ever.
type Seal struct{}

// The command of each request.
func (*Hello) Command() Command     { return Command{GroupProvisioning, 0, Read} }
func (*CSR) Command() Command       { return Command{GroupProvisioning, 1, Read} }
func (*WriteSlot) Command() Command { return Command{GroupProvisioning, 2, Write} }
func (*ReadSlot) Command() Command  { return Command{GroupProvisioning, 3, Read} }
func (*TLS) Command() Command       { return Command{GroupProvisioning, 4, Write} }
func (*Seal) Command() Command      { return Command{GroupProvisioning, 5, Write} }
func (*Net) Command() Command       { return Command{GroupProvisioning, 6, Write} }
func (*Receipt) Command() Command   { return Command{GroupProvisioning, 7, Read} }
func (*Update) Command() Command    { return Command{GroupProvisioning, 8, Write} }

// The tables of PROTOCOL.md section 4.
var (
	helloForm = form{{key: "b", kind: trueKind, optional: true}, {key: "v", kind: uintKind, least: 1, most: 0xffffffff, optional: true}}
	briefForm = form{
		{key: "id", kind: bytesKind, least: 16, most: 16},
		{key: "bi", kind: bytesKind, least: 8, most: 8},
		{key: "st", kind: uintKind, most: 15},
	}
	helloResponseForm = append(form{
		{key: "v", kind: uintKind, most: 0xffffffff},
		{key: "hw", kind: bytesKind, least: 1, most: 16},
		{key: "bt", kind: textKind, least: 1, most: 24},
		{key: "fw", kind: textKind, least: 1, most: 24},
		{key: "fh", kind: bytesKind, least: 32, most: 32},
		{key: "hs", kind: uintKind, most: 4},
		{key: "dc", kind: intKind, optional: true},
		{key: "lc", kind: uintKind, most: 2},
		{key: "ab", kind: uintKind, most: 0xffffffff},
		{key: "bs", kind: uintKind, most: 0xffffffff},
		{key: "al", kind: textKind, least: 1, most: 24, optional: true},
		{key: "ca", kind: uintKind, most: 0xff},
		{key: "pu", kind: uintKind, most: 0xff},
	}, briefForm...)
	csrForm = form{
		{key: "n", kind: bytesKind, least: 16, most: 16},
		{key: "o", kind: textKind, most: 32},
		{key: "ou", kind: textKind, most: 32},
		{key: "p", kind: uintKind, least: 1, most: 0xffffffff, optional: true},
	}
	csrResponseForm = form{{key: "csr", kind: bytesKind, least: 1, most: MaxCSR}}
	writeForm       = form{
		{key: "s", kind: uintKind, most: 0xff},
		{key: "o", kind: uintKind, most: 0xffffffff},
		{key: "l", kind: uintKind, least: 1, most: 0xffffffff, optional: true},
		{key: "h", kind: bytesKind, least: 32, most: 32, optional: true},
		{key: "d", kind: bytesKind, most: maxMessage},
		{key: "c", kind: trueKind, optional: true},
	}
	writeResponseForm = form{{key: "o", kind: uintKind, most: MaxSlot}}
	updateForm        = form{
		{key: "o", kind: uintKind, most: 0xffffffff},
		{key: "l", kind: uintKind, least: 1, most: 0xffffffff, optional: true},
		{key: "d", kind: bytesKind, most: maxMessage},
		{key: "c", kind: trueKind, optional: true},
	}
	updateResponseForm = form{{key: "o", kind: uintKind, most: 2 * maxMessage}}
	readForm           = form{
		{key: "s", kind: uintKind, most: 0xff},
		{key: "o", kind: uintKind, most: 0xffffffff},
	}
	readResponseForm = form{
		{key: "l", kind: uintKind, most: MaxSlot},
		{key: "d", kind: bytesKind, most: MaxSlot},
	}
	tlsForm = form{
		{key: "q", kind: uintKind, most: 0xffffffff},
		{key: "sn", kind: textKind, least: 1, most: MaxServerName, optional: true},
		{key: "ch", kind: trueKind, optional: true},
		{key: "i", kind: bytesKind, most: maxMessage, optional: true},
		{key: "x", kind: trueKind, optional: true},
	}
	tlsResponseForm = form{
		{key: "st", kind: uintKind, most: uint64(TLSFailed)},
		{key: "o", kind: bytesKind, most: maxMessage, optional: true},
		{key: "m", kind: trueKind, optional: true},
		{key: "r", kind: bytesKind, most: MaxAnswer, optional: true},
		{key: "e", kind: intKind, optional: true},
		{key: "vf", kind: uintKind, most: 0xffffffff, optional: true},
	}
	receiptForm         = form{{key: "n", kind: bytesKind, least: 16, most: 16}}
	receiptResponseForm = form{
		{key: "s", kind: bytesKind, least: 64, most: 64},
		{key: "lk", kind: uintKind, least: 1, most: 2, optional: true},
	}
	netForm = form{
		{key: "q", kind: uintKind, most: 0xffffffff},
		{key: "a", kind: textKind, least: 2, most: MaxAddress, optional: true},
		{key: "p", kind: uintKind, least: 1, most: 0xffff, optional: true},
		{key: "sn", kind: textKind, least: 1, most: MaxServerName, optional: true},
		{key: "ch", kind: trueKind, optional: true},
		{key: "x", kind: trueKind, optional: true},
	}
	netResponseForm = form{
		{key: "st", kind: uintKind, most: uint64(TLSFailed)},
		{key: "r", kind: bytesKind, most: MaxAnswer, optional: true},
		{key: "e", kind: intKind, optional: true},
		{key: "vf", kind: uintKind, most: 0xffffffff, optional: true},
	}
)

func (*Update) form() form            { return updateForm }
func (*UpdateResponse) form() form    { return updateResponseForm }
func (*Receipt) form() form           { return receiptForm }
func (*ReceiptResponse) form() form   { return receiptResponseForm }
func (*Hello) form() form             { return helloForm }
func (*HelloResponse) form() form     { return helloResponseForm }
func (*BriefResponse) form() form     { return briefForm }
func (*CSR) form() form               { return csrForm }
func (*CSRResponse) form() form       { return csrResponseForm }
func (*WriteSlot) form() form         { return writeForm }
func (*WriteSlotResponse) form() form { return writeResponseForm }
func (*ReadSlot) form() form          { return readForm }
func (*ReadSlotResponse) form() form  { return readResponseForm }
func (*TLS) form() form               { return tlsForm }
func (*TLSResponse) form() form       { return tlsResponseForm }
func (*Seal) form() form              { return emptyForm }
func (*Net) form() form               { return netForm }
func (*NetResponse) form() form       { return netResponseForm }

// brokenRule: boards with TF-M, also with its dummy provisioning, report a caller.
func (h *HelloResponse) brokenRule() string {
	if (h.HUK == 0 || h.HUK == 4) != (h.Caller != nil) {
		return "dc is there exactly when hs is 0 or 4"
	}
	return ""
}

// brokenRule: total length and hash are present at offset 0 and only there.
func (w *WriteSlot) brokenRule() string {
	begins := w.Offset == 0
	if begins != (w.Total != 0) || !begins && len(w.Hash) != 0 {
		return "l is there exactly when o is 0, and h only then"
	}
	return ""
}

// brokenRule: the total length is present at offset 0 and only there.
func (u *Update) brokenRule() string {
	if (u.Offset == 0) != (u.Total != 0) {
		return "l is there exactly when o is 0"
	}
	return ""
}

// brokenRule: a request with a server name opens a session; others must not have one.
func (t *TLS) brokenRule() string {
	opens := t.Sequence == 0
	switch {
	case opens != (t.ServerName != ""):
		return "sn is there exactly when q is 0"
	case t.SendChain && !opens:
		return "ch is there only when q is 0"
	case opens && (len(t.Input) > 0 || t.Close):
		return "i and x are there only when q is not 0"
	}
	return ""
}

// brokenRule: a request with address, port and server name opens a session; others must not have them.
func (n *Net) brokenRule() string {
	opens := n.Sequence == 0
	switch {
	case opens != (n.ServerName != "") || opens != (n.Address != "") || opens != (n.Port != 0):
		return "a, p and sn are there exactly when q is 0"
	case n.SendChain && !opens:
		return "ch is there only when q is 0"
	case opens && n.Close:
		return "x is there only when q is not 0"
	}
	return ""
}
