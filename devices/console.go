package devices

import "sync"

const consoleSize = 64 << 10

// A console keeps the newest octets of the text between frames.
type console struct {
	mu   sync.Mutex
	text []byte // a ring buffer when it is full
	next int    // where the next octet goes: the oldest octet is there
}

func (c *console) add(text []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(text) >= consoleSize {
		c.text, c.next = append(c.text[:0], text[len(text)-consoleSize:]...), 0
		return
	}
	room := min(len(text), consoleSize-len(c.text))
	c.text = append(c.text, text[:room]...)
	for text = text[room:]; len(text) > 0; {
		n := copy(c.text[c.next:], text)
		text, c.next = text[n:], (c.next+n)%consoleSize
	}
}

func (c *console) all() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]byte, 0, len(c.text))
	return append(append(all, c.text[c.next:]...), c.text[:c.next]...)
}
