package evidence

import (
	"crypto/sha256"
	"fmt"
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
	c.report = c.options.Report(found, note)
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
