package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"

	"github.com/spf13/cobra"

	"hallmark/station/audit"
	"hallmark/station/health"
	"hallmark/station/reason"
	"hallmark/station/report"
	"hallmark/station/support"
	"hallmark/station/workdir"
)

func (c *command) doctorCommand() *cobra.Command {
	ports, scanner, bundle := []string(nil), false, support.Bundle{}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Proves that the bench works, part by part",
		Long: `doctor tries every part of the bench the way a Run uses it: it signs in the HSM, reads the
registry's settings back, verifies the audit log, and has the verifier refuse a self-signed, a
wrong-CA, an expired, a revoked and another board's certificate, and accept a good one.

It exits with 5 when the token refuses the PIN, with 1 when anything else fails, and says for each
failure what to do next.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), stopSignals...)
			context.AfterFunc(ctx, stop) // a second signal ends the program at once
			defer stop()
			if scanner {
				return health.CheckScanner(ctx, workdir.Dir(c.dir), c.stdin, c.stdout)
			}
			return c.doctor(ctx, ports, &bundle)
		},
	}
	bundle.Flags(cmd.Flags())
	cmd.Flags().BoolVar(&scanner, "scanner", false, "ask for three scans instead, and say what the barcode scanner types and what belongs into station.yaml")
	cmd.Flags().StringSliceVar(&ports, "ports", nil, "serial ports to open, \"\" for none (default: all that are found)")
	return cmd
}

// doctor does all checks, even after a check has failed.
func (c *command) doctor(ctx context.Context, ports []string, bundle *support.Bundle) (err error) {
	dir, err := bundle.Station(c.dir)
	if err != nil {
		return err
	}
	observers := report.NewObservers(c.stdout, c.stderr, false)
	c.stdout, c.stderr = observers.View, observers.Stderr
	defer func() { err = errors.Join(err, bundle.Write(ctx, dir, c.stdout), observers.Show(nil)) }()
	checker := health.New(dir, ports)
	defer func() { err = afterwards(err, checker.Close()) }()
	failed, warned, code := []string(nil), []string(nil), reason.ExitFault
	for check := range checker.RunChecks(ctx) {
		bundle.Add(check)
		if ctx.Err() != nil {
			return &exitError{exitAborted, fmt.Errorf("checking %s: %w", check.Name, errInterrupted)}
		}
		if fmt.Fprint(c.stdout, check.Text()); check.State == health.Fail || check.State == health.None {
			failed = append(failed, check.Name)
		} else if check.State == health.Warn {
			warned = append(warned, check.Name)
		}
		if reason.ExitOf(check.Err) == reason.ExitPIN { // a second doctor would spend another try
			code = reason.ExitPIN
		}
	}
	if ctx.Err() != nil {
		return &exitError{exitAborted, fmt.Errorf("checking the bench: %w", errInterrupted)}
	}
	if len(failed) > 0 {
		err := errors.New(reason.Count(len(failed), "part of the bench failed or was not checked", "parts of the bench failed or were not checked"))
		return &exitError{int(code), errors.Join(err, checker.RecordFailed(failed))}
	}
	fmt.Fprintln(c.stdout, health.Ready(warned))
	record, _ := checker.Record() // the registry is open, because no check failed
	return record.Note("doctor.done", audit.Success, nil)
}
