// Command hub is the plant's side of many stations: it takes their audit logs over mutual TLS, keeps them in PostgreSQL, and gives each station its part
// of a work order. It links no PKCS#11.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"hallmark/station/hub"
	"hallmark/station/reason"
)

// version is set by the linker.
var version = "unknown"

func main() {
	if err := reason.EndCrashesBySignal(); err != nil {
		fmt.Fprintln(os.Stderr, "hub:", err)
		os.Exit(int(reason.ExitFault))
	}
	// A reader that has gone (`| head`) decides no exit code: without this line SIGPIPE would end the program.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	os.Exit(int(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) reason.Exit {
	commands := &hub.Commands{Stdout: stdout, Stderr: stderr}
	root := commands.Command()
	root.Version = version
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(usage)
	err := root.ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(stderr, "hub:", err)
		if row, known := reason.Find(err); known && row.Next != "" { // the row for the unexpected speaks of boards
			fmt.Fprintln(stderr, "next:", row.Next)
		}
	}
	return reason.ExitOf(err)
}

// usage marks a wrong flag as a misuse.
func usage(_ *cobra.Command, err error) error { return reason.Usage(err) }
