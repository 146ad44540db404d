package main

import (
	"context"
	"errors"

	"hallmark/station"
	"hallmark/station/operate"
	"hallmark/station/reason"
	"hallmark/station/report"
	"hallmark/station/workdir"
)

// Exit codes, the same for every subcommand. They are part of the interface:
// help, README and tests read this file.
const (
	exitPass    = 0 // all Runs ended as Pass; the command did what was asked
	exitFault   = 1 // the station, the HSM or a line is bad; boards may be tried again
	exitReject  = 2 // a board is bad
	exitUsage   = 3 // usage or configuration; nothing was begun
	exitAborted = 4 // the operator stopped
)

const exitHelp = `Exit codes:
  0  all Runs ended as Pass, or the command did what was asked
  1  Fault: the station, the HSM or a line is bad; the boards may be tried again
  2  Reject: a board is bad
  3  usage or configuration; nothing was begun
  4  Aborted: the operator stopped
Where Runs end differently, the first of 1, 2, 4 that occurs counts.`

// exitOf gives the code for the endings that occurred. A Fault comes first, because a bad
// station says nothing about boards; an Aborted Run says nothing about either, so it comes last.
func exitOf(counts map[station.Ending]int) int {
	switch {
	case counts[station.Fault] > 0:
		return exitFault
	case counts[station.Reject] > 0:
		return exitReject
	case counts[station.Aborted] > 0:
		return exitAborted
	}
	return exitPass
}

// An exitError ends the command with a code. err is nil when the command has said
// already what there was to say.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// codeOf gives the exit code of a command that returned err.
func codeOf(err error) int {
	var exit *exitError
	var usage *reason.UsageError
	switch {
	case err == nil:
		return exitPass
	case errors.As(err, &exit):
		return exit.code
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, context.Canceled):
		return exitAborted
	}
	return exitFault
}

// conclude turns a batch into the exit code. trouble is what went wrong beside the Runs.
func conclude(result operate.Result, trouble error) error {
	counts := report.Endings(result.Runs)
	if trouble != nil {
		counts[station.Fault]++
	}
	if result.Short != nil {
		counts[endingOf(result.Short)]++
	}
	code := exitOf(counts)
	if code == exitPass {
		return nil
	}
	return &exitError{code, errors.Join(result.Short, trouble)}
}

// endingOf says what boards that were not begun count as: Fault where the station could
// not go on, Aborted where somebody stopped it or a bay.
func endingOf(short error) station.Ending {
	for _, fault := range []error{operate.ErrHSMAway, station.ErrClock, workdir.ErrDiskFull} {
		if errors.Is(short, fault) {
			return station.Fault
		}
	}
	return station.Aborted
}
