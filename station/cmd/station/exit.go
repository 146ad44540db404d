package main

import (
	"errors"

	"hallmark/station/operate"
	"hallmark/station/reason"
)

// Exit codes, the same for every subcommand.
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
  5  the token refuses the PIN: nothing may try again by itself, or the token locks
A crash ends with a signal (SIGABRT) and is no verdict.
Where Runs end differently, the first of 1, 2, 4 that occurs counts.`

// An exitError ends the command with a code. err is nil if the command has already printed
// the reason.
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

// codeOf returns the exit code of a command that returned err.
func codeOf(err error) int {
	var exit *exitError
	if errors.As(err, &exit) {
		return exit.code
	}
	return int(reason.ExitOf(err))
}

// conclude turns a batch into the exit code. trouble is what went wrong beside the Runs.
func conclude(result operate.Result, trouble error) error {
	code := result.Exit(trouble)
	if code == reason.ExitPass {
		return nil
	}
	return &exitError{int(code), errors.Join(result.Short, trouble)}
}
