package report

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"hallmark/station"
	"hallmark/station/reason"
)

// The rules of the progress display: it goes to stderr, it may get lost, and no Run waits
// for a slow terminal (its writer is a Queue). On a terminal, the display is one line that is
// redrawn. Otherwise (plain), it is one line for each Run that has ended.

var errProgress = errors.New("want auto, plain or none")

// A Progress displays the progress of a batch. Its methods are safe for concurrent use.
type Progress struct {
	w    *Queue
	mode string

	mu      sync.Mutex // covers the following fields
	total   int
	running map[string]string
	ended   int
	counts  map[station.Ending]int
	paused  error    // why Runs pause, nil while they do not
	lines   []string // plain lines that are not written yet

	stop  chan struct{}
	drawn sync.WaitGroup
}

const (
	progressLine  = "line"
	progressPlain = "plain"
	progressNone  = "none"
)

// ParseMode returns the mode for the value of --progress.
func ParseMode(flag string, w io.Writer) (string, error) {
	switch flag {
	case progressPlain, progressNone:
		return flag, nil
	case "auto":
		if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
			return progressLine, nil
		}
		return progressPlain, nil
	}
	return "", reason.Usage(fmt.Errorf("--progress %q: %w", flag, errProgress))
}

// NewProgress makes a Progress that counts Runs, and draws nothing before Start.
func NewProgress(w *Queue, mode string) *Progress {
	return &Progress{w: w, mode: mode, running: map[string]string{}, counts: map[station.Ending]int{}, stop: make(chan struct{})}
}

// Expect sets the number of Runs if each Run passes.
func (p *Progress) Expect(total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total = total
}

// Start starts to draw; Finish ends that. The caller calls Start after the PIN prompt, because
// a redrawn line would overwrite the prompt.
func (p *Progress) Start() {
	if p.mode != progressNone {
		p.drawn.Go(p.draw)
	}
}

// Event notes an event of the engine. It only writes to memory.
func (p *Progress) Event(e station.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e.Kind {
	case station.RunStarted:
		p.running[e.Bay] = "start"
	case station.StepStarted:
		p.running[e.Bay] = e.Step
	case station.RunEnded:
		delete(p.running, e.Bay)
	}
}

// End notes Runs that have ended.
func (p *Progress) End(runs []*station.Run) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, run := range runs {
		p.ended++
		p.total = max(p.total, p.ended) // more Runs than expected, because a lost Run is started again
		p.counts[run.Ending]++
		if p.mode == progressPlain {
			p.lines = append(p.lines, fmt.Sprintf("[%d/%d] %s: %s", p.ended, p.total, run.Bay, sentence(run)))
		}
	}
}

// sentence says how a Run ended, and why.
func sentence(run *station.Run) string {
	text := fmt.Sprintf("%s %s %s", Dash(boardID(run)), run.Ending, run.Finished.Sub(run.Started).Round(time.Millisecond))
	if run.Ending != station.Pass {
		text += fmt.Sprintf(" (%s: %s)", run.Reason, reason.OneLine(run.Err))
	} else if run.Outcome != "" {
		text += fmt.Sprintf(" (%s)", run.Outcome)
	}
	return text
}

// Pause takes notice that Runs pause, and why; nil says that they go on.
func (p *Progress) Pause(why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused = why
	switch {
	case p.mode != progressPlain:
	case why != nil:
		p.lines = append(p.lines, "HSM is away, the batch waits: "+reason.OneLine(why))
	default:
		p.lines = append(p.lines, "HSM is back, the batch goes on")
	}
}

// Finish draws for the last time and leaves the terminal on a new line.
func (p *Progress) Finish() {
	close(p.stop)
	p.drawn.Wait()
}

// draw is the goroutine that writes to the terminal. No other goroutine writes.
func (p *Progress) draw() {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.paint(false)
		case <-p.stop:
			p.paint(true)
			return
		}
	}
}

func (p *Progress) paint(last bool) {
	p.mu.Lock()
	text := p.text()
	p.mu.Unlock()
	switch {
	case p.mode == progressPlain:
		io.WriteString(p.w, text)
	case last:
		fmt.Fprintf(p.w, "\r\x1b[K%s\n", text)
	case !p.w.Behind(): // a terminal that stood still needs no old pictures
		fmt.Fprintf(p.w, "\r\x1b[K%s", text)
	}
}

// text returns the text to write now. It returns each plain line only once.
func (p *Progress) text() string {
	if p.mode == progressPlain {
		var b strings.Builder
		for _, line := range p.lines {
			b.WriteString(line + "\n")
		}
		p.lines = nil
		return b.String()
	}
	return p.line()
}

// line returns the progress line: first the counts, then the number of bays in each step. The
// line has at most 79 columns.
func (p *Progress) line() string {
	text := fmt.Sprintf("%d of %s: %d pass, %d reject, %d fault, %d aborted", p.ended, reason.Count(p.total, "Run", "Runs"),
		p.counts[station.Pass], p.counts[station.Reject], p.counts[station.Fault], p.counts[station.Aborted])
	if p.paused != nil {
		text += " | HSM is away"
	}
	if len(p.running) > 0 {
		text += fmt.Sprintf(" | %d on the line", len(p.running))
		for bay, step := range p.running {
			if len(p.running) == 1 {
				text += ": " + bay + " " + step
			}
		}
	}
	return text[:min(len(text), 79)]
}
