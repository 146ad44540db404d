package evidence

import (
	"crypto/sha256"
	"fmt"
	"regexp"
)

// Words of Verdict.Report.
const (
	ReportSame   = "same"         // the report follows from the entries
	ReportAbsent = "absent"       // the bundle has no report
	ReportOther  = "not compared" // another version of the program made the report, or nobody asked for the comparison
)

// openReport begins the report anew, in the language of the one in the bundle.
func (c *checker) openReport() error {
	c.verdict.Report = ReportAbsent
	missing := c.files.Size(ReportFile) < 0
	if !missing {
		c.verdict.Report = ReportOther
	}
	if c.options.Report == nil {
		if !missing {
			c.skip(ReportFile, "it was not compared with the entries, because nobody asked for it: do not read it")
		}
		return nil
	}
	found, err := c.read(ReportFile)
	if err != nil || found == nil {
		return err
	}
	note, err := c.files.Read(CheckpointFile)
	if err != nil {
		return err
	}
	if c.report = c.options.Report(found, note); c.report == nil {
		return c.strangeReport(found)
	}
	return nil
}

// anyVersion is the line in which each report names the version of its form.
var anyVersion = regexp.MustCompile(`<meta name="generator" content="hallmark report [0-9]+">`)

// strangeReport judges a report that cannot be made anew. It is taken only from a bundle that the audit key has signed, and
// then it was not compared: whoever changes the report can also change the version that it names.
func (c *checker) strangeReport(found []byte) error {
	const way = "check the bundle with the auditcheck of the station that made it, or with --no-report if you do not read the report"
	switch {
	case !anyVersion.Match(found[:min(len(found), 1024)]):
		return c.find(-1, ReportFile, "it names no version of its form, and each report of a station does: somebody else wrote it")
	case c.verdict.Signed == nil:
		return c.find(-1, ReportFile, "it says that another version of the program made it, so it was not compared with the entries, and nobody signed the bundle, so anybody can have written it; %s", way)
	}
	c.skip(ReportFile, "another version of the program made it, so it was not compared with the entries; "+way)
	return nil
}

// compareReport compares the report with the one that the entries make.
func (c *checker) compareReport() error {
	if c.report == nil {
		return nil
	}
	want := sha256.New()
	if err := c.report.Write(want, c.head); err != nil {
		return fmt.Errorf("making the report again: %w", err)
	}
	if digest(want.Sum(nil)) != c.sums[ReportFile] {
		return c.find(-1, ReportFile, "the report does not follow from the entries")
	}
	c.verdict.Report = ReportSame
	return nil
}
