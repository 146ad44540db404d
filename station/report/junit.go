package report

import (
	"encoding/xml"
	"fmt"
	"os"
	"time"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/issuance"
)

// The JUnit report uses the common subset of Jenkins' xUnit v2. A Reject is a failure, a Fault
// is an error, and an Aborted Run is skipped.
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

// A Suite is the content of a JUnit report apart from the Runs.
type Suite struct {
	Name     string
	Boards   string // value of --boards
	Order    string
	Profiles []*issuance.Profile
	Started  time.Time
	Took     time.Duration
}

// properties are the properties of the report.
func (s Suite) properties() []junitProperty {
	all := []junitProperty{{"boards", s.Boards}, {"order", s.Order}}
	for _, profile := range s.Profiles {
		all = append(all, junitProperty{"profile_sha256", fmt.Sprintf("%x", profile.SHA256())})
	}
	return all
}

// profile returns the name of the profile for a purpose.
func (s Suite) profile(purpose devices.Purpose) string {
	for _, profile := range s.Profiles {
		if profile.Purpose() == purpose {
			return profile.Name()
		}
	}
	return ""
}

// junit returns the report of a batch.
func (s Suite) junit(runs []*station.Run) ([]byte, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("asking for the host's name: %w", err)
	}
	counts := Endings(runs)
	report := junitSuite{
		Name: s.Name, Tests: len(runs), Failures: counts[station.Reject], Errors: counts[station.Fault], Skipped: counts[station.Aborted],
		Time: seconds(s.Took), Timestamp: s.Started.UTC().Format("2006-01-02T15:04:05"), Hostname: host, Properties: s.properties(),
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

func (s Suite) testcase(run *station.Run) junitCase {
	class, name := s.profile(run.Purpose), boardID(run)
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
