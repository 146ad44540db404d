package audit

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// encoded finds a mail, as it was stored, whose text cannot be read without decoding it (RFC 2045 section 6).
var encoded = regexp.MustCompile(`(?im)^content-transfer-encoding:[ \t]*(quoted-printable|base64)[ \t]*\r?$`)

// maxDepth bounds mails inside of mails.
const maxDepth = 8

// textOfMail gives the texts and files of a mail without their encodings, or nothing if the text is no such mail.
// HTML is left out, because it repeats the text.
func textOfMail(content []byte) string {
	if !encoded.Match(content) {
		return ""
	}
	message, err := mail.ReadMessage(bytes.NewReader(content))
	if err != nil {
		return ""
	}
	var text strings.Builder
	decodePart(&text, textproto.MIMEHeader(message.Header), message.Body, maxDepth)
	return text.String()
}

// decodePart adds the text of one part. What cannot be decoded is left out: if it was a checkpoint, the mail has none.
func decodePart(text *strings.Builder, header textproto.MIMEHeader, body io.Reader, depth int) {
	if depth == 0 {
		return
	}
	kind, parameters, err := mime.ParseMediaType(header.Get("Content-Type"))
	switch {
	case err == nil && strings.HasPrefix(kind, "multipart/"):
		parts := multipart.NewReader(body, parameters["boundary"])
		for part, err := parts.NextRawPart(); err == nil; part, err = parts.NextRawPart() {
			decodePart(text, part.Header, part, depth-1)
		}
		return
	case kind == "message/rfc822":
		if message, err := mail.ReadMessage(body); err == nil {
			decodePart(text, textproto.MIMEHeader(message.Header), message.Body, depth-1)
		}
		return
	case kind == "text/html":
		return
	}
	switch strings.ToLower(strings.TrimSpace(header.Get("Content-Transfer-Encoding"))) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	content, err := io.ReadAll(body)
	if err != nil {
		return
	}
	text.WriteString(decodeText(content) + "\n\n")
}

// decodeText gives a text as UTF-8. Windows stores text also as UTF-16, with a mark in front, and mail programs write
// Windows-1252; of its characters only the dash is in a checkpoint.
func decodeText(content []byte) string {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(content, []byte{0xff, 0xfe}):
		order = binary.LittleEndian
	case bytes.HasPrefix(content, []byte{0xfe, 0xff}):
		order = binary.BigEndian
	case utf8.Valid(content):
		return strings.TrimPrefix(string(content), "\ufeff")
	default:
		return string(bytes.ReplaceAll(content, []byte{0x97}, []byte("\u2014")))
	}
	var units []uint16
	for at := 2; at+1 < len(content); at += 2 {
		units = append(units, order.Uint16(content[at:]))
	}
	return string(utf16.Decode(units))
}
