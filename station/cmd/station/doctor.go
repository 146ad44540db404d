package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"

	"hallmark/station/audit"
	"hallmark/station/health"
	"hallmark/station/workdir"
)

func (c *command) doctorCommand() *cobra.Command {
	var ports []string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Proves that the bench works, part by part",
		Long: `doctor tries every part of the bench the way a Run uses it: it signs in the HSM, reads the
registry's settings back, verifies the audit log, and has the verifier refuse a self-signed, a
wrong-CA, an expired, a revoked and another board's certificate, and accept a good one.

It exits with 1 when anything fails, and says for each failure what to do next.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), stopSignals...)
			defer stop()
			return c.doctor(ctx, ports)
		},
	}
	cmd.Flags().StringSliceVar(&ports, "ports", nil, "serial ports to open, \"\" for none (default: all that are found)")
	return cmd
}

// doctor does all checks, even after a check has failed.
func (c *command) doctor(ctx context.Context, ports []string) (err error) {
	dir, err := workdir.Existing(c.dir)
	if err != nil {
		return err
	}
	checker := health.New(dir, ports)
	defer func() { err = errors.Join(err, checker.Close()) }()
	var failed []string
	for check := range checker.Examine(ctx) {
		if ctx.Err() != nil {
			return &exitError{exitAborted, fmt.Errorf("examining %s: %w", check.Name, errInterrupted)}
		}
		if writeCheck(c.stdout, check); check.State == health.Fail || check.State == health.None {
			failed = append(failed, check.Name)
		}
	}
	if ctx.Err() != nil {
		return &exitError{exitAborted, fmt.Errorf("examining the bench: %w", errInterrupted)}
	}
	if len(failed) > 0 {
		return errors.Join(fmt.Errorf("%d parts of the bench failed or were not examined", len(failed)), recordFailed(checker, failed))
	}
	fmt.Fprintln(c.stdout, "\nThe bench is ready.")
	record, _ := checker.Record() // the registry is open, because no check failed
	return record.Note("doctor.done", audit.Success, nil)
}

// writeCheck writes one line of the table, and the rows of the check below.
func writeCheck(w io.Writer, check health.Check) {
	word := map[health.State]string{health.OK: "ok", health.Warn: "warn", health.Fail: "FAIL", health.None: "?"}[check.State]
	fmt.Fprintf(w, "%-5s %-14s %s\n", word, check.Name, check.Finding)
	for _, row := range check.Rows {
		fmt.Fprintf(w, "      %-14s %s\n", "", row)
	}
	if check.State == health.Fail {
		fmt.Fprintf(w, "      %-14s next: %s\n", "", check.Next)
	}
}

// recordFailed records the names of the failed checks in the audit log, if the registry is open.
func recordFailed(checker *health.Checker, names []string) error {
	record, open := checker.Record()
	if !open {
		return nil
	}
	return record.Note("doctor.done", audit.Failure, map[string]string{"failed": strings.Join(names, ", ")})
}
