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

// The rules of progress: it goes to stderr, it is disposable, and nobody waits
// for a terminal. On a terminal it is one line that is drawn anew; elsewhere
// (plain) it is one line for each Run that ended.

var errProgress = errors.New("want auto, plain or none")

// A Progress watches a batch. Its methods are safe for concurrent use.
type Progress struct {
	w    io.Writer
	mode string

	mu      sync.Mutex // covers what follows
	total   int
	running map[string]string
	ended   int
	counts  map[station.Ending]int
	lines   []string // plain lines nobody has written yet

	stop  chan struct{}
	drawn sync.WaitGroup
}

const (
	progressLine  = "line"
	progressPlain = "plain"
	progressNone  = "none"
)

// ParseMode turns the flag --progress into what will be done.
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

// NewProgress takes notice of what happens; nothing is drawn before Start.
func NewProgress(w io.Writer, mode string) *Progress {
	return &Progress{w: w, mode: mode, running: map[string]string{}, counts: map[station.Ending]int{}, stop: make(chan struct{})}
}

// Expect says how many Runs there will be, if each passes.
func (p *Progress) Expect(total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total = total
}

// Start begins to draw, which is not before the PIN was asked for: a line that
// is drawn anew would wipe out the question. Finish ends it.
func (p *Progress) Start() {
	if p.mode != progressNone {
		p.drawn.Go(p.draw)
	}
}

// Event takes notice of what the engine says; it only writes to memory.
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

// End takes notice of Runs that have ended.
func (p *Progress) End(runs []*station.Run) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, run := range runs {
		p.ended++
		p.total = max(p.total, p.ended) // a Run that a lost HSM ended is done again
		p.counts[run.Ending]++
		if p.mode == progressPlain {
			p.lines = append(p.lines, fmt.Sprintf("[%d/%d] %s: %s", p.ended, p.total, run.Bay, sentence(run)))
		}
	}
}

// sentence says how a Run ended, and what to make of it.
func sentence(run *station.Run) string {
	text := fmt.Sprintf("%s %s %s", Dash(boardID(run)), run.Ending, run.Finished.Sub(run.Started).Round(time.Millisecond))
	if run.Ending != station.Pass {
		text += fmt.Sprintf(" (%s: %s)", run.Reason, reason.OneLine(run.Err))
	}
	return text
}

// Finish draws for the last time and leaves the terminal on a new line.
func (p *Progress) Finish() {
	close(p.stop)
	p.drawn.Wait()
}

// draw is the only goroutine that writes.
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
	default:
		fmt.Fprintf(p.w, "\r\x1b[K%s", text)
	}
}

// text is what to write now; plain lines are handed out once.
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

// line fits 79 columns: counts first, then what the bays do, by step.
func (p *Progress) line() string {
	text := fmt.Sprintf("%d of %d Runs: %d pass, %d reject, %d fault, %d aborted", p.ended, p.total,
		p.counts[station.Pass], p.counts[station.Reject], p.counts[station.Fault], p.counts[station.Aborted])
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
