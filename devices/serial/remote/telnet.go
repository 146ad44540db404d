package remote

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"hallmark/station/reason"
)

// Octets of Telnet (RFC 854), its options (RFC 856, RFC 858), and the commands of the option COM-PORT (RFC 2217 section 3).
const (
	iac  = 255
	dont = 254
	do   = 253
	wont = 252
	will = 251
	sb   = 250 // begin of a subnegotiation
	se   = 240 // its end

	optionBinary  = 0
	optionSGA     = 3 // suppress go-ahead
	optionComPort = 44

	setBaud     = 1
	setDataSize = 2
	setParity   = 3
	setStopSize = 4
	setControl  = 5
	answers     = 100 // is added to a command in the server's answer

	eight      = 8 // data bits
	noParity   = 1
	oneStopBit = 1
	noFlow     = 1 // of setControl
	dtrOff     = 9
	rtsOff     = 12
)

// maxSubnegotiation bounds the octets that are kept of one subnegotiation. A signature of a server is longer, and nobody needs it.
const maxSubnegotiation = 16

// ErrUnfit: a server cannot serve the port as a station needs it. Each of the errors below wraps it.
var ErrUnfit = reason.New("port-unfit", "the server does not serve the port as needed")

// Refusals of a server.
var (
	ErrNoComPort = fmt.Errorf("%w: it does not speak RFC 2217; name the port as tcp://, and set the baud rate at the server", ErrUnfit)
	ErrTelnet    = fmt.Errorf("%w: it speaks Telnet; name the port as rfc2217://", ErrUnfit)
	ErrNotBinary = fmt.Errorf("%w: it refuses to pass all octets on (RFC 856)", ErrUnfit)
	ErrSettings  = fmt.Errorf("%w: it does not set the port as asked", ErrUnfit)
)

// A telnet decodes what a server sends, and knows what it must be told.
type telnet struct {
	settings []setting
	open     map[byte]bool // commands whose answer is missing

	state  byte // the octet that decides what the next one means: 0, iac, will, wont, do, dont, sb, or se for an IAC inside of sb
	sub    []byte
	reply  []byte // is to be written to the server
	failed error
}

// A setting is one command of COM-PORT and its value.
type setting struct {
	command byte
	value   []byte
}

func newTelnet(config Config) *telnet {
	t := &telnet{open: map[byte]bool{}}
	t.settings = []setting{
		{setBaud, binary.BigEndian.AppendUint32(nil, uint32(config.baud()))},
		{setDataSize, []byte{eight}}, {setParity, []byte{noParity}}, {setStopSize, []byte{oneStopBit}},
		{setControl, []byte{noFlow}},
	}
	for _, s := range t.settings[:4] {
		t.open[s.command] = true
	}
	if config.LowDTR {
		t.settings = append(t.settings, setting{setControl, []byte{dtrOff}})
	}
	if config.LowRTS {
		t.settings = append(t.settings, setting{setControl, []byte{rtsOff}})
	}
	t.reply = []byte{
		iac, will, optionComPort, iac, will, optionBinary, iac, do, optionBinary, iac, will, optionSGA, iac, do, optionSGA,
	}
	return t
}

// settled reports whether the server has confirmed all settings.
func (t *telnet) settled() bool { return len(t.open) == 0 }

// decode appends the board's octets of a piece of the stream to out.
func (t *telnet) decode(out, in []byte) []byte {
	for _, c := range in {
		switch t.state {
		case 0:
			if c == iac {
				t.state = iac
			} else {
				out = append(out, c)
			}
		case iac:
			out = t.command(out, c)
		case sb:
			if c == iac {
				t.state = se
			} else if len(t.sub) < maxSubnegotiation {
				t.sub = append(t.sub, c)
			}
		case se:
			t.inside(c)
		default:
			t.negotiate(t.state, c)
			t.state = 0
		}
	}
	return out
}

// command handles the octet after IAC.
func (t *telnet) command(out []byte, c byte) []byte {
	t.state = 0
	switch c {
	case iac:
		return append(out, iac)
	case will, wont, do, dont:
		t.state = c
	case sb:
		t.state, t.sub = sb, t.sub[:0]
	}
	return out // another command, such as NOP, has no octet behind it
}

// inside handles the octet after an IAC in a subnegotiation.
func (t *telnet) inside(c byte) {
	t.state = sb
	switch {
	case c == se:
		t.state = 0
		t.answered(t.sub)
	case c == iac && len(t.sub) < maxSubnegotiation:
		t.sub = append(t.sub, iac)
	}
}

// negotiate handles the server's word on an option. Options that nobody asked for are refused.
func (t *telnet) negotiate(verb, option byte) {
	switch {
	case option == optionComPort && verb == do:
		for _, s := range t.settings {
			t.reply = append(t.reply, iac, sb, optionComPort, s.command)
			t.reply = append(escape(t.reply, s.value), iac, se)
		}
	case option == optionComPort && verb == dont:
		t.failed = ErrNoComPort
	case option == optionBinary && (verb == dont || verb == wont):
		t.failed = ErrNotBinary
	case option == optionComPort, option == optionBinary, option == optionSGA:
		// The answer to what was asked.
	case verb == will:
		t.reply = append(t.reply, iac, dont, option)
	case verb == do:
		t.reply = append(t.reply, iac, wont, option)
	}
}

// answered compares the server's answer with the setting. The server may also send the state of modem and line, which nobody asked for.
func (t *telnet) answered(sub []byte) {
	if len(sub) < 2 || sub[0] != optionComPort {
		return
	}
	for _, s := range t.settings {
		if s.command == setControl || sub[1] != s.command+answers {
			continue
		}
		if string(sub[2:]) != string(s.value) {
			t.failed = fmt.Errorf("%w: %s: asked for %s, it sets %s (values of RFC 2217)", ErrSettings, settingNames[s.command], number(s.value), number(sub[2:]))
		}
		delete(t.open, s.command)
	}
}

var settingNames = map[byte]string{setBaud: "baud rate", setDataSize: "data bits", setParity: "parity", setStopSize: "stop bits"}

// number shows the value of a setting.
func number(value []byte) string {
	if len(value) == 0 {
		return "nothing"
	}
	var n uint64
	for _, octet := range value[:min(len(value), 8)] {
		n = n<<8 | uint64(octet)
	}
	return strconv.FormatUint(n, 10)
}

// begins reports whether octets are the negotiation with which a server of Telnet begins.
func begins(said []byte) bool {
	return len(said) >= 2 && said[0] == iac && said[1] >= will && said[1] <= dont
}

// escape doubles the octets that Telnet would take for commands.
func escape(out, in []byte) []byte {
	for _, c := range in {
		if c == iac {
			out = append(out, iac)
		}
		out = append(out, c)
	}
	return out
}
