package audit

import (
	"time"
	"unicode/utf8"
)

// decodeCanonical reads an entry that is in canonical form, in one pass and without encoding the
// entry again. It reports false for everything that it is not sure about: an entry that is not
// canonical, and an entry with an escaped character. Then [Decode] decides with encoding/json.
//
// The canonical form has one order of the keys, no white space, and each value in one form only.
// So a parser that takes exactly this form has checked it. A fuzz test compares both ways.
func decodeCanonical(body []byte) (e Entry, ok bool) {
	if len(body) > MaxEntry || !utf8.Valid(body) {
		return e, false
	}
	c := cursor{rest: body}
	c.entry(&e)
	complete := e.Actor.ID != "" && e.Actor.Kind != "" && e.Category != "" && e.Type != "" && e.Outcome != ""
	return e, !c.bad && len(c.rest) == 0 && complete && e.V == Version
}

// A cursor goes through the canonical form. bad is true from the first octet on that does not fit.
type cursor struct {
	rest []byte
	bad  bool
}

func (c *cursor) entry(e *Entry) {
	c.take(`{"actor":{"id":`)
	e.Actor.ID = c.text()
	c.take(`,"kind":`)
	e.Actor.Kind = c.word()
	c.take(`}`)
	if c.has(`,"board":{`) {
		e.Board = c.board()
	}
	c.take(`,"category":`)
	e.Category = Category(c.word())
	if c.has(`,"cert":{`) {
		e.Cert = c.cert()
	}
	if c.has(`,"details":{`) {
		e.Details = c.details()
	}
	c.take(`,"id":`)
	e.ID = c.text()
	c.take(`,"outcome":`)
	e.Outcome = Outcome(c.word())
	e.Reason = c.optional(`,"reason":`)
	if c.has(`,"run":{`) {
		e.Run = c.run()
	}
	c.take(`,"seq":`)
	e.Seq = c.number()
	c.take(`,"station":`)
	e.Station = c.text()
	c.take(`,"ts":`)
	e.Time = c.time()
	c.take(`,"type":`)
	e.Type = c.text()
	c.take(`,"v":`)
	e.V = int(c.number())
	if c.has(`,"work_order":{`) {
		e.WorkOrder = c.workOrder()
	}
	c.take(`}`)
}

func (c *cursor) board() *Board {
	b := &Board{Firmware: c.first(`"firmware":`), HardwareID: c.first(`"hardware_id":`), HUK: c.first(`"huk":`)}
	c.take(`"id":`)
	b.ID = c.text()
	b.SHA256, b.Type = c.optional(`,"sha256":`), c.optional(`,"type":`)
	c.take(`}`)
	return b
}

func (c *cursor) cert() *Cert {
	o := &Cert{Algorithm: c.first(`"algorithm":`), CSRSHA256: c.first(`"csr_sha256":`), Issuer: c.first(`"issuer_spki_sha256":`), NotAfter: c.first(`"not_after":`), NotBefore: c.first(`"not_before":`),
		Profile: c.first(`"profile":`), ProfileSHA256: c.first(`"profile_sha256":`), Purpose: c.first(`"purpose":`), Rework: c.has(`"rework":true,`)}
	c.take(`"serial":`)
	o.Serial = c.text()
	o.SHA256, o.SPKISHA256 = c.optional(`,"sha256":`), c.optional(`,"spki_sha256":`)
	o.Status, o.TBSSHA256 = c.optional(`,"status":`), c.optional(`,"tbs_sha256":`)
	c.take(`}`)
	return o
}

// details reads one key or more: a map without keys is left out of an entry.
func (c *cursor) details() map[string]string {
	details, before := map[string]string{}, ""
	for more := true; more && !c.bad; more = c.has(`,`) {
		key := c.text()
		if len(details) > 0 && key <= before { // sorted, and none twice
			c.bad = true
		}
		c.take(`:`)
		details[key], before = c.text(), key
	}
	c.take(`}`)
	return details
}

func (c *cursor) run() *Run {
	r := &Run{Bay: c.first(`"bay":`)}
	c.take(`"id":`)
	r.ID = c.text()
	r.Operator, r.Outcome, r.Purpose, r.Rework = c.optional(`,"operator":`), c.optional(`,"outcome":`), c.optional(`,"purpose":`), c.optional(`,"rework":`)
	if c.has(`,"steps":[`) {
		for more := true; more && !c.bad; more = c.has(`,`) {
			r.Steps = append(r.Steps, c.step())
		}
		c.take(`]`)
	}
	c.take(`}`)
	return r
}

func (c *cursor) step() (s Step) {
	c.take(`{"name":`)
	s.Name = c.text()
	c.take(`,"outside_us":`)
	s.OutsideUS = c.number()
	c.take(`,"retries":`)
	s.Retries = int(c.number())
	c.take(`,"took_us":`)
	s.TookUS = c.number()
	c.take(`}`)
	return s
}

func (c *cursor) workOrder() *WorkOrder {
	o := &WorkOrder{}
	if c.has(`"counted":`) {
		o.Counted = c.notZero()
		c.take(`,`)
	}
	c.take(`"id":`)
	o.ID, o.Product = c.text(), c.optional(`,"product":`)
	if c.has(`,"quota":`) {
		o.Quota = c.notZero()
	}
	c.take(`}`)
	return o
}

// take goes over a text that must stand here.
func (c *cursor) take(text string) { c.bad = !c.has(text) || c.bad }

// has goes over a text if it stands here.
func (c *cursor) has(text string) bool {
	if c.bad || len(c.rest) < len(text) || string(c.rest[:len(text)]) != text {
		return false
	}
	c.rest = c.rest[len(text):]
	return true
}

// optional reads the text of a key that is left out when it is empty.
func (c *cursor) optional(key string) string {
	if !c.has(key) {
		return ""
	}
	text := c.text()
	c.bad = c.bad || text == ""
	return text
}

// first does what optional does, for a key before which no comma stands.
func (c *cursor) first(key string) string {
	if !c.has(key) {
		return ""
	}
	text := c.text()
	c.bad = c.bad || text == ""
	c.take(`,`)
	return text
}

// octets reads a text in quotes that has no escaped character, and none that encoding/json would
// escape: U+0000 to U+001F, U+2028 and U+2029.
func (c *cursor) octets() []byte {
	c.take(`"`)
	for i, octet := range c.rest {
		switch {
		case octet == '"' && !c.bad:
			text := c.rest[:i]
			c.rest = c.rest[i+1:]
			return text
		case octet < ' ', octet == '\\', octet == 0xe2: // U+2028 begins with 0xe2, as other characters do
			c.bad = true
			return nil
		}
	}
	c.bad = true
	return nil
}

func (c *cursor) text() string { return string(c.octets()) }

// word is a text that is the same in most entries. It needs no memory for the known words.
func (c *cursor) word() string {
	text := c.octets()
	for _, known := range words {
		if string(text) == known {
			return known
		}
	}
	return string(text)
}

var words = [...]string{string(Success), string(CategoryLine), string(CategoryIssuance), "system", "human", "ci", string(CategoryLog), string(Failure), string(Denied)}

// number reads a whole number of at most 18 digits.
func (c *cursor) number() (n int64) {
	negative := c.has(`-`)
	digits := 0
	for digits < len(c.rest) && c.rest[digits]-'0' <= 9 {
		n, digits = n*10+int64(c.rest[digits]-'0'), digits+1
		if digits > 18 {
			break
		}
	}
	zeros := digits > 1 && c.rest[0] == '0' || negative && n == 0
	c.bad = c.bad || digits == 0 || digits > 18 || zeros
	if c.bad {
		return 0
	}
	c.rest = c.rest[digits:]
	if negative {
		return -n
	}
	return n
}

func (c *cursor) notZero() int64 {
	n := c.number()
	c.bad = c.bad || n == 0
	return n
}

// time reads timeFormat.
func (c *cursor) time() Time {
	text := c.octets()
	if len(text) != len(timeFormat) {
		c.bad = true
		return Time{}
	}
	for i, want := range []byte(timeFormat) {
		digit := text[i]-'0' <= 9
		if isDigit := want-'0' <= 9; digit != isDigit || !digit && text[i] != want {
			c.bad = true
			return Time{}
		}
	}
	year, month, day := decimal(text[:4]), decimal(text[5:7]), decimal(text[8:10])
	hour, minute, second := decimal(text[11:13]), decimal(text[14:16]), decimal(text[17:19])
	at := time.Date(year, time.Month(month), day, hour, minute, second, decimal(text[20:29]), time.UTC)
	// time.Date takes the 30th of February for the 1st or 2nd of March.
	c.bad = c.bad || int(at.Month()) != month || at.Day() != day || hour > 23 || minute > 59 || second > 59
	return Time{at}
}

func decimal(digits []byte) (n int) {
	for _, digit := range digits {
		n = n*10 + int(digit-'0')
	}
	return n
}
