package main

import (
	"errors"

	"hallmark/station"
	"hallmark/station/reason"
)

// Exit codes, the same for every subcommand. They are part of the interface:
// help, README and tests read this file.
const (
	exitPass    = int(reason.ExitPass)
	exitFault   = int(reason.ExitFault)
	exitReject  = int(reason.ExitReject)
	exitUsage   = int(reason.ExitUsage)
	exitAborted = int(reason.ExitAborted)
)

const exitHelp = `Exit codes:
  0  all Runs ended as Pass, or the command did what was asked
  1  Fault: the station, the HSM or a line is bad; the boards may be tried again
  2  Reject: a board is bad
  3  usage or configuration; nothing was begun
  4  Aborted: the operator stopped
Where Runs end differently, the first of 1, 2, 4 that occurs counts.`

// exitOf gives the code for the endings that occurred.
func exitOf(counts map[station.Ending]int) int { return int(reason.ExitOfRuns(counts)) }

// An exitError ends the command with a code; what there was to say about it
// may have been said already, then err is nil.
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

// usage marks an error as one of usage or configuration.
func usage(err error) error { return reason.Usage(err) }

// codeOf gives the exit code of a command that returned err.
func codeOf(err error) int {
	var exit *exitError
	if errors.As(err, &exit) {
		return exit.code
	}
	return int(reason.ExitOf(err))
}
