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

// afterwards adds what went wrong when a command closed its parts, such as the last commit. That is a
// Fault, whatever the Runs say. Only a refused PIN keeps its code, because nothing may try the PIN again.
func afterwards(err, trouble error) error {
	switch {
	case trouble == nil:
		return err
	case err != nil && codeOf(err) == int(reason.ExitPIN):
		return &exitError{int(reason.ExitPIN), errors.Join(err, trouble)}
	}
	return &exitError{exitFault, errors.Join(err, trouble)}
}

// conclude turns a batch into the exit code. trouble is what went wrong beside the Runs.
func conclude(result operate.Result, trouble error) error {
	code := result.Exit(trouble)
	if code == reason.ExitPass {
		return nil
	}
	return &exitError{int(code), errors.Join(result.Short, result.Waited, trouble)}
}
