package instance

import (
	"os"
	"runtime"
	"runtime/debug"
)

const (
	// heapGrowth is the growth of the heap, in per cent, after which the garbage collector
	// runs. The live heap has few MiB, so with Go's 100 the collector would run every few
	// Runs and look through the stacks of all bays each time. With 400 it runs about every
	// 50 Runs, and the heap stays below 20 MiB.
	heapGrowth = 400

	// spareProcessors are processors of Go beyond those of the machine. A goroutine keeps its processor for the first
	// moments of a system call, and for all of the start of a program. While disk, HSM and programs hold as many goroutines as
	// the machine has processors, a key of the operator would wait.
	spareProcessors = 2
)

// TuneRuntime sets the garbage collector and the scheduler for a program that does Runs. The environment's GOGC and GOMAXPROCS
// have precedence.
func TuneRuntime() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + spareProcessors)
	}
}
