package hub

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"hallmark/station/reason"
)

// A Role says what a person may do on the web page.
type Role string

// Roles. Each person has one.
const (
	Viewer  Role = "viewer"  // sees the plant, and looks for a board
	Auditor Role = "auditor" // also lists and exports boards
	Lead    Role = "lead"    // also ends findings and work orders
)

// atLeast reports whether the role has what another one has.
func (r Role) atLeast(other Role) bool {
	order := []Role{Viewer, Auditor, Lead}
	return slices.Index(order, r) >= slices.Index(order, other)
}

// A Person may use the web page. The token is a random text of 128 bits, so its SHA-256 alone is stored.
type Person struct {
	Name  string
	Role  Role
	Token [sha256.Size]byte
}

// An Audience says who may see the pages.
type Audience struct {
	People []Person // empty: everybody who reaches the page, as an auditor
	Names  []string // names of the host by which browsers may ask for the page, beside those of loopback
}

// NewToken makes the token of a person, and its SHA-256.
func NewToken() (token string, sum [sha256.Size]byte) {
	token = rand.Text()
	return token, sha256.Sum256([]byte(token))
}

type personKey struct{}

// personOf gives who asks for a page.
func personOf(ctx context.Context) Person {
	person, _ := ctx.Value(personKey{}).(Person)
	return person
}

// admit lets a request pass that comes for this page and from a person who may see it.
func (a *Audience) admit(next http.Handler) http.Handler {
	// A page of somebody else must not act as the person who is signed in (CSRF), nor read this page under a name of its own (DNS rebinding).
	next = http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.isHost(r.Host) {
			http.Error(w, "this name is not that of the hub; page_names in hub.yaml has the names of a proxy", http.StatusMisdirectedRequest)
			return
		}
		person, known := a.person(r)
		if !known {
			w.Header().Set("WWW-Authenticate", `Basic realm="Hallmark hub", charset="UTF-8"`)
			http.Error(w, "sign in with your name and your token; `hub person` makes one", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), personKey{}, person)))
	})
}

func (a *Audience) isHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	return loopback(host) || slices.ContainsFunc(a.Names, func(name string) bool { return strings.EqualFold(name, host) })
}

func (a *Audience) person(r *http.Request) (found Person, known bool) {
	if len(a.People) == 0 {
		return Person{Role: Auditor}, true
	}
	name, token, _ := r.BasicAuth()
	sum := sha256.Sum256([]byte(token))
	for _, one := range a.People { // each one, so that the time does not say which names there are
		if subtle.ConstantTimeCompare(sum[:], one.Token[:]) == 1 && name == one.Name {
			found, known = one, true
		}
	}
	return found, known
}

// PersonConfig names a person who may see the web page.
type PersonConfig struct {
	Name  string `yaml:"name"`
	Role  string `yaml:"role"`         // viewer, auditor or lead
	Token string `yaml:"token_sha256"` // as `hub person` prints it
}

// audience checks the keys of the web page.
func (c *Config) audience() (a Audience, errs []error) {
	a.Names = c.PageNames
	host, _, err := net.SplitHostPort(c.Page)
	switch {
	case c.Page == "":
	case err != nil:
		errs = append(errs, fmt.Errorf("page: %q: want address:port, such as 127.0.0.1:8080", c.Page))
	case !loopback(host) && len(c.People) == 0:
		errs = append(errs, fmt.Errorf("page: %q: want an address of this machine, such as 127.0.0.1:8080, or people who sign in, see people", c.Page))
	}
	for i, one := range c.People {
		at := fmt.Sprintf("people[%d].", i)
		if reason.CheckText(one.Name) != nil || strings.Contains(one.Name, ":") || slices.ContainsFunc(a.People, func(p Person) bool { return p.Name == one.Name }) {
			errs = append(errs, fmt.Errorf("%sname %q: want a name that no other person has, without colons", at, one.Name))
		}
		if role := Role(one.Role); role != Viewer && role != Auditor && role != Lead {
			errs = append(errs, fmt.Errorf("%srole %q: want viewer, auditor or lead", at, one.Role))
		}
		sum, err := hex.DecodeString(one.Token)
		if err != nil || len(sum) != sha256.Size {
			errs = append(errs, fmt.Errorf("%stoken_sha256: want 64 hexadecimal digits, as `hub person` prints them", at))
			continue
		}
		a.People = append(a.People, Person{one.Name, Role(one.Role), [sha256.Size]byte(sum)})
	}
	return a, errs
}
