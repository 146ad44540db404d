package export

import (
	"bytes"
	"fmt"
	"strings"

	"hallmark/devices"
	"hallmark/station/workdir"
)

var cSource = &Format{Name: "c", Text: "directory: for C99, ca_cert.txt and ID/device_cert.txt with PEM as string literals, and headers with DER as arrays", Folder: true,
	fixed: func(chain Chain) ([]File, error) {
		return []File{
			{"ca_cert.txt", cText(chain.Root.Raw)},
			{"ca_cert.h", cHeader("The root, which a board trusts.", "ca_cert", "", chain.Root.Raw, chain.Root.Subject.CommonName)},
			{"issuing_cert.txt", cText(chain.Issuing.Raw)},
			{"issuing_cert.h", cHeader("The issuing CA, between boards and root.", "issuing_cert", "", chain.Issuing.Raw, chain.Issuing.Subject.CommonName)},
		}, nil
	},
	board: func(chain Chain, r *Row) ([]File, error) {
		above, err := chain.of(r)
		if err != nil {
			return nil, err
		}
		name := "device"
		if r.Purpose != devices.PurposeTLS {
			name += "_" + r.Purpose.String()
		}
		about := fmt.Sprintf("Board %v, key %v, serial number %s.", r.BoardID, r.Purpose, r.serial())
		path := r.BoardID.String() + "/" + name
		return []File{
			{path + "_cert.txt", cText(r.DER)},
			{path + "_chain.txt", cText(above[:2]...)},
			{path + "_cert.h", cHeader(about, name+"_cert", r.BoardID.String(), r.DER, r.Certificate.Subject.CommonName)},
		}, nil
	}}

// cText gives the PEM of certificates as string literals, which the compiler joins. So the file can stand between the
// braces of an array.
func cText(certificates ...[]byte) []byte {
	var text bytes.Buffer
	for line := range strings.Lines(string(workdir.CertificatePEM(certificates...))) {
		text.WriteString(cString(line) + "\n")
	}
	return text.Bytes()
}

// cHeader gives a header with the DER of a certificate and its common name. The names of both begin with name, and the
// guard ends with id. about stands in a comment, and has no text of people.
func cHeader(about, name, id string, der []byte, commonName string) []byte {
	var text bytes.Buffer
	guard := "PROV_" + strings.ToUpper(name)
	if id != "" {
		guard += "_" + strings.ToUpper(strings.ReplaceAll(id, "-", "_"))
	}
	fmt.Fprintf(&text, "/* %s */\n#ifndef %s_H\n#define %s_H\n\n", about, guard, guard)
	fmt.Fprintf(&text, "static const char %s_common_name[] = %s;\n\n", name, cString(commonName))
	fmt.Fprintf(&text, "static const unsigned char %s_der[%d] = {", name, len(der))
	for i, octet := range der {
		if i%12 == 0 {
			text.WriteString("\n\t")
		} else {
			text.WriteByte(' ')
		}
		fmt.Fprintf(&text, "0x%02x,", octet)
	}
	text.WriteString("\n};\n\n#endif\n")
	return text.Bytes()
}

// cString gives a string literal of C99. Each octet that is not plain is an octal escape, which has three digits at
// most and so never takes the next octet; a question mark is one, too, because two of them begin a trigraph (C99 section 5.2.1.1).
func cString(text string) string {
	literal := []byte{'"'}
	for i := range len(text) {
		switch octet := text[i]; {
		case octet == '\n':
			literal = append(literal, `\n`...)
		case octet < ' ' || octet > '~' || octet == '"' || octet == '\\' || octet == '?':
			literal = fmt.Appendf(literal, `\%03o`, octet)
		default:
			literal = append(literal, octet)
		}
	}
	return string(append(literal, '"'))
}
