package report

import (
	"io"
	"os"
	"time"
)

// observerPatience is how long the end of a command waits for a reader that takes nothing.
const observerPatience = 5 * time.Second

// Observers are the outputs of a command for people. Runs and signals wait for none of their readers.
type Observers struct {
	View   *Queue // the table
	Stderr *Queue // progress and errors
}

// NewObservers puts a Queue before both outputs. If a report goes to stdout, the table goes to
// stderr, so that stdout holds the report alone.
func NewObservers(stdout, stderr io.Writer, reportOnStdout bool) (o Observers) {
	o.Stderr = NewQueue("standard error", stderr, QueueLimit, observerPatience)
	o.View = o.Stderr
	if !reportOnStdout {
		o.View = NewQueue("standard output", stdout, QueueLimit, observerPatience)
	}
	return o
}

// UntilClosed returns a writer for the output of a command that is not a report. When the reader has
// closed the pipe, as `head` does, the rest of the text is dropped without an error: the command
// does its work to the end, and its exit code tells of the work. A file stays as it is.
func UntilClosed(w io.Writer) io.Writer {
	if file, ok := w.(*os.File); ok {
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			return w
		}
	}
	return &untilClosed{w: w}
}

type untilClosed struct {
	w      io.Writer
	closed bool
}

func (u *untilClosed) Write(text []byte) (int, error) {
	if u.closed {
		return len(text), nil
	}
	n, err := u.w.Write(text)
	if u.closed = Closed(err); u.closed {
		return len(text), nil
	}
	return n, err
}

// Show writes the last text to the view, and returns the error of its loss. A reader that has
// closed its pipe wants no more text, so that is no error.
func (o Observers) Show(text []byte) error {
	_ = o.Stderr.Flush()      // on a terminal the progress comes before the table; its loss has no place where it could be said
	_, _ = o.View.Write(text) // Flush gives the error
	if err := o.View.Flush(); !Closed(err) {
		return err
	}
	return nil
}
