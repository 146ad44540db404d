package hub

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"hallmark/station/reason"
)

// What a lead may do on the web page. The name and the reason are on record, as with the commands.

// maxForm bounds a form, in octets.
const maxForm = 16 << 10

// act answers a form that changes something: it does it, and shows the page again.
func (p *Pages) act(page string, do func(ctx context.Context, about, operator, why string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		why := strings.TrimSpace(r.PostFormValue("reason"))
		err := reason.CheckText(why)
		if err == nil {
			err = do(r.Context(), strings.TrimSpace(r.PostFormValue("about")), personOf(r.Context()).Name, why)
		}
		switch {
		case err == nil:
			http.Redirect(w, r, page, http.StatusSeeOther)
		case reason.ExitOf(err) == reason.ExitUsage:
			p.draw(w, r, http.StatusUnprocessableEntity, view{Title: "Nothing was done", Text: reason.OneLine(err)})
		default:
			p.fault(w, r, err)
		}
	}
}

func (p *Pages) closeFinding(ctx context.Context, about, operator, why string) error {
	number, err := strconv.ParseInt(about, 10, 64)
	if err != nil {
		return ErrFinding
	}
	return p.store.CloseFinding(ctx, number, operator, why)
}
