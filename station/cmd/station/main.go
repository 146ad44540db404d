// Command station enrols boards: it gives each board a certificate. See `station --help`.
package main

import (
	"context"
	"fmt"
	"os"

	"hallmark/station/instance"
	"hallmark/station/reason"
)

func main() {
	instance.TuneRuntime()
	if err := reason.EndCrashesBySignal(); err != nil {
		fmt.Fprintln(os.Stderr, "station:", err)
		os.Exit(int(reason.ExitFault))
	}
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
