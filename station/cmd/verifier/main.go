// Command verifier is the mutual-TLS server for boards. It needs only files: it links no
// PKCS#11 and holds no CA key, so it can run on another host than the station.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"hallmark/station/reason"
)

func main() {
	if err := reason.EndCrashesBySignal(); err != nil {
		fmt.Fprintln(os.Stderr, "verifier:", err)
		os.Exit(int(reason.ExitFault))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
