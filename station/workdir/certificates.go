package workdir

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// Marks that begin and end a block (RFC 7468 section 2).
const (
	pemBegin = "-----BEGIN "
	pemEnd   = "-----END "
)

// ParseCertificates reads a text with certificates in PEM, at least one, and nothing else in PEM. Between the blocks
// other text may stand (RFC 7468 section 2). encoding/pem skips a block that is damaged; ParseCertificates names its line.
func ParseCertificates(text []byte) (all []*x509.Certificate, err error) {
	if err := checkEncoding(text); err != nil {
		return nil, err
	}
	rest := text
	for len(rest) > 0 {
		begin := bytes.Index(rest, []byte(pemBegin))
		if end := bytes.Index(rest, []byte(pemEnd)); end >= 0 && (begin < 0 || end < begin) {
			return nil, fmt.Errorf("line %d: a PEM block ends here that does not begin", lineOf(text, rest[end:]))
		}
		if begin < 0 {
			break
		}
		line := lineOf(text, rest[begin:])
		var certificate *x509.Certificate
		if certificate, rest, err = parseBlock(rest[begin:]); err != nil {
			return nil, fmt.Errorf("line %d: certificate %d cannot be read: %w", line, len(all)+1, err)
		}
		all = append(all, certificate)
	}
	if len(all) == 0 {
		return nil, errors.New("no PEM certificate in it")
	}
	return all, nil
}

// checkEncoding refuses what other programs write before the text.
func checkEncoding(text []byte) error {
	for mark, name := range map[string]string{"\xef\xbb\xbf": "UTF-8", "\xff\xfe": "UTF-16", "\xfe\xff": "UTF-16"} {
		if bytes.HasPrefix(text, []byte(mark)) {
			return fmt.Errorf("the file begins with a byte order mark of %s; save it without", name)
		}
	}
	return nil
}

// lineOf gives the number of the line in which the rest of a text begins.
func lineOf(text, rest []byte) int {
	return 1 + bytes.Count(text[:len(text)-len(rest)], []byte("\n"))
}

// parseBlock reads the block at the beginning of text, and returns what follows.
func parseBlock(text []byte) (*x509.Certificate, []byte, error) {
	end := bytes.Index(text, []byte(pemEnd))
	if next := bytes.Index(text[len(pemBegin):], []byte(pemBegin)); end < 0 || next >= 0 && next+len(pemBegin) < end {
		return nil, nil, errors.New("its end is missing")
	}
	block, rest := pem.Decode(text)
	if block == nil || bytes.Contains(text[end+len(pemEnd):len(text)-len(rest)], []byte(pemEnd)) {
		return nil, nil, errors.New("its PEM is damaged")
	}
	if strings.HasSuffix(block.Type, "PRIVATE KEY") {
		return nil, nil, fmt.Errorf("a PEM block %q, want only CERTIFICATE: a secret lies in this file, so give a file with certificates only, and keep the key away from the line", block.Type)
	}
	if block.Type != "CERTIFICATE" {
		return nil, nil, fmt.Errorf("a PEM block %q, want only CERTIFICATE", block.Type)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	return certificate, rest, err
}
