package probe

import (
	"regexp"
	"sync"
)

// A Pattern is a regular expression for a text that a tool prints. It is compiled at its first use: most commands of the
// station use no probe, and compiling all of them took a quarter of the memory that the start of a command needs.
type Pattern func() *regexp.Regexp

// NewPattern gives the pattern of an expression. The pattern panics at its first use if the expression is wrong.
func NewPattern(expression string) Pattern {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}
