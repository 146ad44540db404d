package main

import (
	"errors"
	"strings"
	"testing"

	"hallmark/hsm"
	"hallmark/station"
	"hallmark/station/operate"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

func TestWorstEndingDecidesTheExitCode(t *testing.T) {
	trouble := errors.New("x")
	for _, c := range []struct {
		name           string
		endings        string
		short, trouble error
		want           int
	}{
		{"all pass", "pass pass", nil, nil, exitPass},
		{"no Run at all", "", nil, nil, exitPass},
		{"one fault", "pass fault reject aborted", nil, nil, exitFault},
		{"a reject before an abort", "reject aborted pass", nil, nil, exitReject},
		{"an abort", "aborted pass", nil, nil, exitAborted},
		{"fewer Runs than asked for", "pass", trouble, nil, exitAborted},
		{"fewer Runs because a clone stopped the bay", "reject", trouble, nil, exitReject},
		{"fewer Runs because the HSM is away", "pass", operate.ErrHSMAway, nil, exitFault},
		{"fewer Runs because the disk is full", "pass", workdir.ErrDiskFull, nil, exitFault},
		{"a report that cannot be written", "pass", nil, trouble, exitFault},
		{"fewer Runs because the work order is used up", "pass", station.ErrQuota, nil, exitAborted},
	} {
		t.Run(c.name, func(t *testing.T) {
			var runs []*station.Run
			for ending := range strings.FieldsSeq(c.endings) {
				runs = append(runs, &station.Run{Ending: station.Ending(ending)})
			}
			if got := codeOf(conclude(operate.Result{Runs: runs, Short: c.short}, c.trouble)); got != c.want {
				t.Errorf("exit code %d, want %d", got, c.want)
			}
		})
	}
}

func TestHelpNamesEveryExitCode(t *testing.T) {
	for _, want := range []string{"0  all", "1  Fault", "2  Reject", "3  usage", "4  Aborted", "1, 2, 4"} {
		if !strings.Contains(reason.ExitHelp, want) {
			t.Errorf("help does not say %q", want)
		}
	}
}

// A command that cannot close its parts, for example because the last commit failed, ends as a Fault.
func TestATroubleAtTheEndIsAFault(t *testing.T) {
	trouble := errors.New("the last commit failed")
	for _, c := range []struct {
		name         string
		err, trouble error
		want         int
	}{
		{"nothing went wrong", nil, nil, exitPass},
		{"a Reject, and no trouble", &exitError{exitReject, nil}, nil, exitReject},
		{"all passed before", nil, trouble, exitFault},
		{"a Reject before", &exitError{exitReject, nil}, trouble, exitFault},
		{"aborted before", &exitError{exitAborted, errInterrupted}, trouble, exitFault},
		{"an error of usage before", reason.Usage(errors.New("x")), trouble, exitFault},
		{"a refused PIN before", hsm.ErrPINWrong, trouble, int(reason.ExitPIN)},
		{"a doctor whose PIN was refused", &exitError{int(reason.ExitPIN), nil}, trouble, int(reason.ExitPIN)},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := afterwards(c.err, c.trouble)
			if got := codeOf(err); got != c.want || c.trouble != nil && !errors.Is(err, c.trouble) {
				t.Errorf("exit code %d, want %d: %v", got, c.want, err)
			}
		})
	}
}
