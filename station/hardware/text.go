package hardware

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"hallmark/station/reason"
)

// WriteTable prints the rows for people, and below the table what is wrong.
func WriteTable(w io.Writer, rows []Row) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintln(w, "no bays in station.yaml, and neither a probe nor a UART is plugged in")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "BAY\tUSB\tPROBE\tSERIAL\tDRIVER\tBOARD\tPORTS\tSTATE")
	for _, row := range rows {
		cells := []string{row.Bay, row.USB, row.Probe, row.Serial, row.Driver, row.Board, row.portText(), row.state()}
		for i := range cells {
			cells[i] = reason.Printable(cmp.Or(cells[i], "-"))
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return writeTroubles(w, rows)
}

func writeTroubles(w io.Writer, rows []Row) error {
	var text strings.Builder
	var without []string // USB paths of the devices without a bay, for one line
	for _, row := range rows {
		for _, trouble := range row.Troubles {
			if trouble == noBay {
				without = append(without, row.USB)
				continue
			}
			fmt.Fprintf(&text, "%s: %s\n", row.name(), reason.Printable(trouble))
		}
	}
	switch len(without) {
	case 0:
	case 1:
		fmt.Fprintf(&text, "USB path %s: %s\n", without[0], noBay)
	default:
		fmt.Fprintf(&text, "USB paths %s: no bay of station.yaml has these devices; `station bays --yaml` prints bays for them\n", strings.Join(without, ", "))
	}
	if text.Len() == 0 {
		return nil
	}
	_, err := fmt.Fprint(w, "\n", text.String())
	return err
}

// name names the row in a sentence.
func (r *Row) name() string {
	if r.Bay != "" {
		return "bay " + reason.Printable(r.Bay)
	}
	return "USB path " + r.USB
}

func (r *Row) portText() string {
	var all []string
	for _, port := range r.Ports {
		text := strings.TrimPrefix(cmp.Or(port.Device, port.Name), "/dev/")
		if port.Interface >= 0 {
			text = fmt.Sprintf("%d:%s", port.Interface, text)
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}

// state is "free" if all ports are free, otherwise who uses them.
func (r *Row) state() string {
	var used []string
	state := ""
	for _, port := range r.Ports {
		if port.State != "" && port.State != Free {
			used = append(used, port.State)
		}
		state = port.State
	}
	if len(used) > 0 {
		return strings.Join(used, ", ")
	}
	return state
}

// WriteJSON prints one JSON object for each row.
func WriteJSON(w io.Writer, rows []Row) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	for _, row := range rows {
		if err := encoder.Encode(row); err != nil {
			return err
		}
	}
	return nil
}
