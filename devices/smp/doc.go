// Package smp encodes and decodes what goes over the line between station and
// board: Zephyr's management protocol with its console framing, and the
// provisioning group. The contract is PROTOCOL.md sections 1 to 4; the vectors
// in testdata are shared with the C core.
//
// Three layers, each usable alone:
//
//   - [AppendFrame] and [Decoder]: messages as lines between console text;
//   - [Header]: the eight octets before a body;
//   - [AppendMessage], [AppendRequest] and [Parse]: typed CBOR bodies, strict on
//     the way in (unknown, duplicate or missing keys, other types, lengths past
//     their bound, trailing octets and deep nesting are [ErrMalformed]) and
//     canonical (RFC 8949 section 4.2.1) on the way out.
//
// Nothing here does I/O, waits or keeps time.
package smp
