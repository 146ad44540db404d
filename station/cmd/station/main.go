// Command station enrols boards: it gives each board a certificate. See `station --help`.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"

	"hallmark/station/reason"
)

// heapGrowth is the growth of the heap, in per cent, after which the garbage collector
// runs. The live heap has few MiB, so with Go's 100 the collector would run every few
// Runs and look through the stacks of all bays each time. With 400 it runs about every
// 50 Runs, and the heap stays below 20 MiB.
const heapGrowth = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
	if err := reason.EndCrashesBySignal(); err != nil {
		fmt.Fprintln(os.Stderr, "station:", err)
		os.Exit(int(reason.ExitFault))
	}
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
