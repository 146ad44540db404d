package report

import (
	"encoding/xml"
	"fmt"
	"os"
	"time"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/issuance"
	"hallmark/station/reason"
)

// The JUnit report uses the common subset of Jenkins' xUnit v2. A Reject is a failure. A Fault
// and an Aborted Run are errors, because a CI job must not show them as passed. A Run that was
// not begun is skipped.
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
		ClassName  string           `xml:"classname,attr"`
		Name       string           `xml:"name,attr"`
		Time       string           `xml:"time,attr"`
		Properties *junitProperties `xml:"properties"`
		Failure    *junitMessage    `xml:"failure"`
		Error      *junitMessage    `xml:"error"`
		Skipped    *junitMessage    `xml:"skipped"`
		Console    string           `xml:"system-out,omitempty"`
	}
	junitProperties struct {
		Properties []junitProperty `xml:"property"`
	}
	junitMessage struct {
		Type    string `xml:"type,attr,omitempty"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// A Suite is the content of a JUnit report apart from the Runs.
type Suite struct {
	Name   string // of the station
	Boards string // value of --boards
	Order  string
	// Exceptions are the exceptions of the HSM, empty: none.
	Exceptions string
	Profiles   []*issuance.Profile // in the order of a board's Runs
	Bays       []string
	Count      int   // boards that were to be enrolled
	Short      error // why not all boards were begun, nil when all were begun
	Started    time.Time
	Took       time.Duration
}

// properties are the properties of the report.
func (s Suite) properties() []junitProperty {
	all := []junitProperty{{"boards", s.Boards}, {"order", s.Order}}
	if s.Exceptions != "" {
		all = append(all, junitProperty{"hsm_exceptions", s.Exceptions})
	}
	for _, profile := range s.Profiles {
		all = append(all, junitProperty{"profile_sha256", fmt.Sprintf("%x", profile.SHA256())})
	}
	return all
}

// junit returns the report of a batch.
func (s Suite) junit(runs []*station.Run) ([]byte, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("asking for the host's name: %w", err)
	}
	report := junitSuite{
		Name: s.Name, Time: seconds(s.Took), Timestamp: s.Started.UTC().Format("2006-01-02T15:04:05"), Hostname: host,
		Properties: s.properties(), Cases: s.cases(runs),
	}
	report.count()
	text, err := xml.MarshalIndent(report, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the JUnit report: %w", err)
	}
	return append([]byte(xml.Header), append(text, '\n')...), nil
}

// count sums up the test cases.
func (r *junitSuite) count() {
	r.Tests = len(r.Cases)
	for _, one := range r.Cases {
		switch {
		case one.Failure != nil:
			r.Failures++
		case one.Error != nil:
			r.Errors++
		case one.Skipped != nil:
			r.Skipped++
		}
	}
}

// class returns the class name of a test case: the same in each batch of a station.
func (s Suite) class(purpose devices.Purpose) string {
	for _, profile := range s.Profiles {
		if profile.Purpose() == purpose {
			return s.Name + "/" + profile.Name()
		}
	}
	return s.Name
}

// testcase is the test case of a Run that was begun.
func (s Suite) testcase(name string, run *station.Run) junitCase {
	one := junitCase{ClassName: s.class(run.Purpose), Name: name, Time: seconds(run.Finished.Sub(run.Started)), Properties: ofRun(recordOf(run, s.Name, s.Exceptions))}
	switch run.Ending {
	case station.Pass:
		return one
	case station.Reject:
		one.Failure = because(run)
	default:
		one.Error = because(run)
	}
	one.Console = string(run.Console)
	return one
}

// ofRun are the properties of a test case. They change from batch to batch, so they are not
// part of its name.
func ofRun(r Record) *junitProperties {
	var p junitProperties
	for _, property := range []junitProperty{{"board_id", r.BoardID}, {"serial_number", r.SerialNumber}, {"outcome", r.Outcome}, {"flash", r.Flash}, {"lock", r.Lock}} {
		if property.Value != "" {
			p.Properties = append(p.Properties, property)
		}
	}
	if len(p.Properties) == 0 {
		return nil
	}
	return &p
}

// because says how and why a Run did not pass, and what to do next.
func because(run *station.Run) *junitMessage {
	message := ""
	if run.Err != nil {
		message = reason.OneLine(run.Err)
	}
	text := fmt.Sprintf("%s: %s\n%s", run.Ending, run.Reason, message)
	if next := reason.Next(run.Ending, run.Reason); next != "" {
		text += "\nnext: " + next
	}
	return &junitMessage{Type: run.Reason, Message: message, Text: text}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
