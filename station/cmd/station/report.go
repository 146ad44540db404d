package main

import (
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"hallmark/devices"
	"hallmark/station"
)

// A record is the JSON line of one Run: these keys, always all of them.
// Times are UTC, RFC 3339; serial number and digest are hexadecimal, and empty
// when the Run got no certificate.
type record struct {
	Run               string       `json:"run"`
	BoardID           string       `json:"board_id"`
	Purpose           string       `json:"purpose"` // of the key: tls, cose
	Bay               string       `json:"bay"`
	Ending            string       `json:"ending"`
	Reason            string       `json:"reason"`
	SerialNumber      string       `json:"serial_number"`
	CertificateSHA256 string       `json:"certificate_sha256"`
	Steps             []recordStep `json:"steps"`
	WireTx            int64        `json:"wire_tx"` // octets station → board
	WireRx            int64        `json:"wire_rx"` // octets board → station
	Started           time.Time    `json:"started"`
	Finished          time.Time    `json:"finished"`
}

type recordStep struct {
	Name    string  `json:"name"`
	MS      float64 `json:"ms"` // with three decimals
	Retries int     `json:"retries"`
}

func recordOf(run *station.Run) record {
	r := record{
		Run: run.ID.String(), BoardID: boardID(run), Purpose: string(run.Purpose), Bay: run.Bay,
		Ending: string(run.Ending), Reason: run.Reason, Steps: []recordStep{},
		WireTx: run.Wire.Sent, WireRx: run.Wire.Received,
		Started: run.Started.UTC(), Finished: run.Finished.UTC(),
	}
	if run.Certificate != nil {
		r.SerialNumber = hex.EncodeToString(run.Certificate.Serial[:])
		r.CertificateSHA256 = hex.EncodeToString(run.Certificate.SHA256[:])
	}
	for _, step := range run.Steps {
		r.Steps = append(r.Steps, recordStep{step.Name, float64(step.Took.Microseconds()) / 1000, step.Retries})
	}
	return r
}

func boardID(run *station.Run) string {
	if run.Identity == nil {
		return ""
	}
	return run.Identity.ID.String()
}

// writeRecord writes the line in one call, so a killed batch leaves whole lines.
func writeRecord(w io.Writer, run *station.Run) error {
	line, err := json.Marshal(recordOf(run))
	if err != nil {
		return fmt.Errorf("encoding a Run: %w", err)
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

// tableLimit is how many rows of Pass the table shows; other endings are always shown.
const tableLimit = 40

// writeTable prints one row for each Run, and the sum.
func writeTable(w io.Writer, runs []*station.Run, took time.Duration) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "BAY\tBOARD\tKEY\tENDING\tREASON\tSERIAL NUMBER\tTIME")
	passed := 0
	for _, run := range runs {
		if run.Ending == station.Pass {
			if passed++; passed > tableLimit {
				continue
			}
		}
		r := recordOf(run)
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Bay, dash(r.BoardID), r.Purpose, r.Ending, dash(r.Reason), dash(r.SerialNumber),
			run.Finished.Sub(run.Started).Round(time.Millisecond))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if passed > tableLimit {
		fmt.Fprintf(w, "... and %d more that ended as pass\n", passed-tableLimit)
	}
	_, err := fmt.Fprintf(w, "\n%s\n", summary(runs, took))
	return err
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func summary(runs []*station.Run, took time.Duration) string {
	n := endings(runs)
	text := fmt.Sprintf("%d Runs: %d pass, %d reject, %d fault, %d aborted; %s",
		len(runs), n[station.Pass], n[station.Reject], n[station.Fault], n[station.Aborted], took.Round(time.Millisecond))
	if took > 0 && len(runs) > 1 {
		text += fmt.Sprintf(", %.1f Runs/s", float64(len(runs))/took.Seconds())
	}
	return text
}

func endings(runs []*station.Run) map[station.Ending]int {
	counts := map[station.Ending]int{}
	for _, run := range runs {
		counts[run.Ending]++
	}
	return counts
}

// JUnit, the common subset of Jenkins' xUnit v2: a Reject is a failure, a Fault
// an error, an Aborted Run was skipped.
type (
	junitSuite struct {
		XMLName    xml.Name        `xml:"testsuite"`
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       string          `xml:"time,attr"` // seconds
		Timestamp  string          `xml:"timestamp,attr"`
		Hostname   string          `xml:"hostname,attr"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		ClassName string        `xml:"classname,attr"`
		Name      string        `xml:"name,attr"`
		Time      string        `xml:"time,attr"`
		Failure   *junitMessage `xml:"failure"`
		Error     *junitMessage `xml:"error"`
		Skipped   *junitMessage `xml:"skipped"`
		Console   string        `xml:"system-out,omitempty"`
	}
	junitMessage struct {
		Type    string `xml:"type,attr,omitempty"`
		Message string `xml:"message,attr"`
	}
)

// A suite is what a JUnit report says beside the Runs.
type suite struct {
	name       string
	profiles   map[devices.Purpose]string // name of the profile for each key
	started    time.Time
	took       time.Duration
	properties []junitProperty
}

// junit gives the report of a batch.
func (s suite) junit(runs []*station.Run) ([]byte, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("asking for the host's name: %w", err)
	}
	counts := endings(runs)
	report := junitSuite{
		Name: s.name, Tests: len(runs), Failures: counts[station.Reject], Errors: counts[station.Fault], Skipped: counts[station.Aborted],
		Time: seconds(s.took), Timestamp: s.started.UTC().Format("2006-01-02T15:04:05"), Hostname: host, Properties: s.properties,
	}
	for _, run := range runs {
		report.Cases = append(report.Cases, s.testcase(run))
	}
	text, err := xml.MarshalIndent(report, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the JUnit report: %w", err)
	}
	return append([]byte(xml.Header), append(text, '\n')...), nil
}

func (s suite) testcase(run *station.Run) junitCase {
	class, name := s.profiles[run.Purpose], boardID(run)
	if run.Identity != nil {
		class = run.Identity.BoardType + "/" + class
	} else {
		name = run.Bay
	}
	one := junitCase{ClassName: class, Name: name, Time: seconds(run.Finished.Sub(run.Started))}
	message := &junitMessage{Type: run.Reason}
	if run.Err != nil {
		message.Message = run.Err.Error()
	}
	switch run.Ending {
	case station.Reject:
		one.Failure = message
	case station.Fault:
		one.Error = message
	case station.Aborted:
		one.Skipped = &junitMessage{Message: message.Message}
	}
	if run.Ending != station.Pass {
		one.Console = string(run.Console)
	}
	return one
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
