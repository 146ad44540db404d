package label

import "strings"

// A Layout says that a scanner types for one keyboard while the computer has another. A scanner sends the places of keys, not
// characters, so the computer makes other characters of them.
type Layout struct {
	Scanner, Computer string // codes of countries: us, gb, de, fr, es
	Came, For         string // a character that came, and the character that was meant

	meant map[rune]rune
}

// The characters of a keyboard without and with shift, each time from the upper left key to the lower right one, without the
// space bar. All keyboards have the same keys in this order.
var keyboards = []struct{ country, characters string }{
	{"us", "`1234567890-=qwertyuiop[]\\asdfghjkl;'zxcvbnm,./" + "~!@#$%^&*()_+QWERTYUIOP{}|ASDFGHJKL:\"ZXCVBNM<>?"},
	{"de", "^1234567890ß´qwertzuiopü+#asdfghjklöäyxcvbnm,.-" + "°!\"§$%&/()=?`QWERTZUIOPÜ*'ASDFGHJKLÖÄYXCVBNM;:_"},
	{"fr", "²&é\"'(-è_çà)=azertyuiop^$*qsdfghjklmùwxcvbn,;:!" + "³1234567890°+AZERTYUIOP¨£µQSDFGHJKLM%WXCVBN?./§"},
	{"gb", "`1234567890-=qwertyuiop[]#asdfghjkl;'zxcvbnm,./" + "¬!\"£$%^&*()_+QWERTYUIOP{}~ASDFGHJKL:@ZXCVBNM<>?"},
	{"es", "º1234567890'¡qwertyuiop`+çasdfghjklñ´zxcvbnm,.-" + "ª!\"·$%&/()=?¿QWERTYUIOP^*ÇASDFGHJKLÑ¨ZXCVBNM;:_"},
}

// layouts are all pairs of different keyboards, the most usual first.
var layouts = func() (all []Layout) {
	for _, scanner := range keyboards {
		for _, computer := range keyboards {
			if scanner.country == computer.country {
				continue
			}
			came, meant := []rune(computer.characters), []rune(scanner.characters)
			pair := Layout{Scanner: scanner.country, Computer: computer.country, meant: map[rune]rune{}}
			for i := range came {
				pair.meant[came[i]] = meant[i]
			}
			all = append(all, pair)
		}
	}
	return all
}()

// undo gives the text that the scanner meant, and the first character that came as another one. Without such a character the
// layouts agree on this text.
func (l *Layout) undo(text string) (meant, changed string) {
	meant = strings.Map(func(r rune) rune {
		other, known := l.meant[r]
		if !known {
			return r
		}
		if other != r && changed == "" {
			changed = string(r)
		}
		return other
	}, text)
	return meant, changed
}

// seen returns the layout with the most telling character of the text: one that is neither letter nor digit, if there is one.
func (l *Layout) seen(text string) *Layout {
	found := *l
	for _, r := range text {
		other, known := l.meant[r]
		if !known || other == r {
			continue
		}
		if telling := !isAlphanumeric(other); found.Came == "" || telling {
			found.Came, found.For = string(r), string(other)
			if telling {
				break
			}
		}
	}
	found.meant = nil
	return &found
}

func isAlphanumeric(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}
