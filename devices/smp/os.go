package smp

// GroupOS is MCUmgr's own group (PROTOCOL.md section 3).
const GroupOS = 0

// maxOSText limits texts of the OS group. MCUmgr limits them only by its buffer.
const maxOSText = 2048

// Echo asks the board to answer with the same text.
type Echo struct {
	Text string `cbor:"d"`
}

// EchoResponse answers [Echo].
type EchoResponse struct {
	Text string `cbor:"r"`
}

// OldEcho is the message of an [Echo] in SMP version 1, without text. Servers that drop version 2 answer it.
func OldEcho() []byte {
	command := (*Echo)(nil).Command()
	return AppendMessage(nil, Header{Op: command.Op, Group: command.Group, Command: command.ID}, []byte("\xa1\x61d\x60"))
}

// OSReset asks the board to restart.
type OSReset struct{}

// Empty is the body of a response without results.
type Empty struct{}

// Params asks for the MCUmgr parameters.
type Params struct{}

// ParamsResponse answers [Params]. A message to the board (header and body) may have
// at most BufferSize-4 octets; the board drops a larger message without an answer.
type ParamsResponse struct {
	BufferSize  uint32 `cbor:"buf_size"`
	BufferCount uint32 `cbor:"buf_count"`
}

// Info asks for a description of the system, in the formats of uname. Format "s" asks for the name of the kernel.
type Info struct {
	Format string `cbor:"format,omitempty"`
}

// InfoResponse answers [Info].
type InfoResponse struct {
	Output string `cbor:"output"`
}

// Command and form of each body.
func (*Echo) Command() Command    { return Command{GroupOS, 0, Write} }
func (*OSReset) Command() Command { return Command{GroupOS, 5, Write} }
func (*Params) Command() Command  { return Command{GroupOS, 6, Read} }
func (*Info) Command() Command    { return Command{GroupOS, 7, Read} }

var (
	echoForm         = form{{key: "d", kind: textKind, most: maxOSText}}
	echoResponseForm = form{{key: "r", kind: textKind, most: maxOSText}}
	infoForm         = form{{key: "format", kind: textKind, most: 16, optional: true}}
	infoResponseForm = form{{key: "output", kind: textKind, most: maxOSText}}
	emptyForm        = form{}
	paramsForm       = form{
		{key: "buf_size", kind: uintKind, most: 0xffffffff},
		{key: "buf_count", kind: uintKind, most: 0xffffffff},
	}
)

func (*Echo) form() form           { return echoForm }
func (*EchoResponse) form() form   { return echoResponseForm }
func (*Info) form() form           { return infoForm }
func (*InfoResponse) form() form   { return infoResponseForm }
func (*OSReset) form() form        { return emptyForm }
func (*Empty) form() form          { return emptyForm }
func (*Params) form() form         { return emptyForm }
func (*ParamsResponse) form() form { return paramsForm }
