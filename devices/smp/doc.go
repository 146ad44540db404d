// Package smp encodes and decodes the traffic between station and board: Zephyr's
// management protocol (SMP) with its console framing, and the provisioning group. The
// contract is PROTOCOL.md sections 1 to 4. The C core reads the same test vectors.
//
// The package has three layers. Each can be used alone:
//
//   - [AppendFrame] and [Decoder]: messages as lines between console text;
//   - [Header]: the eight octets before a body;
//   - [AppendMessage], [AppendRequest] and [Parse]: typed CBOR bodies. Encoding is
//     canonical (RFC 8949 section 4.2.1). Decoding is strict: unknown, duplicate or
//     missing keys, values of another type, lengths beyond their limit, octets after
//     the body and deep nesting are [ErrMalformed].
//
// The package does no I/O, does not wait, and reads no clock.
package smp
