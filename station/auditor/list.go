package auditor

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"

	"hallmark/station/evidence"
	"hallmark/station/reason"
)

// A list is rows under columns. The names of the columns are documented as stable: columns are
// only ever added, at the end.
type list struct {
	columns []string
	rows    [][]string
}

func (l *list) add(cells ...string) { l.rows = append(l.rows, cells) }

// format has the flags that choose how a list is printed.
type format struct{ json, csv bool }

func (f *format) flags(flags *pflag.FlagSet) {
	flags.BoolVar(&f.json, "json", false, "print one JSON object for each row, each value a text")
	flags.BoolVar(&f.csv, "csv", false, "print CSV with a header, quoted as RFC 4180 says; lines end in LF, and no cell begins a formula")
}

func (f *format) check() error {
	if f.json && f.csv {
		return errors.New("--json and --csv: want one of them")
	}
	return nil
}

func (f *format) print(w io.Writer, l list) error {
	switch {
	case f.json:
		return l.printJSON(w)
	case f.csv:
		return l.printCSV(w)
	}
	return l.printTable(w)
}

// printJSON keeps the order of the columns, which encoding/json does not do for a map.
func (l *list) printJSON(w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10) // a list may have 100,000 rows
	var line []byte
	for _, row := range l.rows {
		line = append(line[:0], '{')
		for i, cell := range row {
			var err error
			if line, err = appendJSON(append(strconv.AppendQuote(line, l.columns[i]), ':'), cell); err != nil {
				return err
			}
			line = append(line, ',')
		}
		line[len(line)-1] = '}'
		if _, err := out.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return out.Flush()
}

// appendJSON appends a text as a JSON string. Most cells have only characters that stand for themselves.
func appendJSON(line []byte, text string) ([]byte, error) {
	for i := range len(text) {
		if octet := text[i]; octet < ' ' || octet > '~' || strings.IndexByte("\"\\<>&", octet) >= 0 {
			value, err := json.Marshal(text)
			return append(line, value...), err
		}
	}
	return append(append(append(line, '"'), text...), '"'), nil
}

func (l *list) printCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	if err := out.Write(l.columns); err != nil {
		return err
	}
	for _, row := range l.rows {
		if err := out.Write(evidence.SafeCells(row)); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func (l *list) printTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, strings.ToUpper(strings.ReplaceAll(strings.Join(l.columns, "\t"), "_", " ")))
	for _, row := range l.rows {
		var cells []string
		for _, cell := range row {
			if cell == "" {
				cell = "-"
			}
			cells = append(cells, reason.Printable(cell))
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n", reason.Count(len(l.rows), "row", "rows"))
	return err
}
