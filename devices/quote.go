package devices

import "strconv"

// quote makes text from a board or a person safe to print: it escapes control octets
// and cuts the text at 64 octets.
func quote(s string) string {
	if len(s) > 64 {
		s = s[:64] + "…"
	}
	return strconv.Quote(s)
}
