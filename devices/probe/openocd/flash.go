package openocd

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"hallmark/devices/probe"
)

// chunk is the number of octets between two reports of progress. Chunks end at multiples of it, so that no
// chunk ends in the middle of what a flash programs at once.
const chunk = 16 << 10

// gap is the largest distance of two segments that are flashed as one, with erased octets between them: a flash
// programs up to 32 octets at once, and only once after an erase.
const gap = 32

func (d *device) FlashLimit(*probe.Image) time.Duration { return d.cfg.FlashLimit }

func (d *device) LockLimit() time.Duration { return 3 * d.cfg.Limit }

func (d *device) Flash(ctx context.Context, image *probe.Image, progress func(done, total int)) error {
	plan := newPlan(image.Segments, d.cfg.Chip.InRAM)
	follow := follower{total: 2 * plan.size, progress: progress}
	work := work{limit: d.cfg.FlashLimit, script: plan.script, files: plan.files, line: follow.line}
	if _, err := d.do(ctx, &work); err != nil {
		err = fmt.Errorf("flashing %s: %w", image.Name, err)
		if follow.writing {
			return probe.Incomplete(err)
		}
		return err
	}
	return nil
}

// plan is the script that flashes an image.
type plan struct {
	script []string
	files  map[string][]byte
	size   int
}

// newPlan erases all segments first, because two segments may lie in one sector.
func newPlan(segments []probe.Segment, inRAM bool) *plan {
	p := &plan{files: map[string][]byte{}}
	p.add("hallmark_try reset {reset init}")
	p.add("hallmark_say writing")
	if !inRAM {
		segments = closed(segments)
		for _, s := range segments {
			p.add("hallmark_try erase {flash erase_address pad %#x %d}", s.Address, len(s.Data))
		}
	}
	p.add("hallmark_say wrote 0") // the erase has ended: from now on something must move
	write := "hallmark_try write {flash write_image %s %#x bin}"
	if inRAM {
		write = "hallmark_try write {load_image %s %#x bin}"
	}
	chunks := chunksOf(segments)
	p.each(chunks, write, "wrote")
	p.each(chunks, "hallmark_try verify {verify_image %s %#x bin}", "verified")
	p.add("hallmark_try reset {reset run}")
	return p
}

func (p *plan) add(format string, args ...any) {
	p.script = append(p.script, fmt.Sprintf(format, args...))
}

// each does a command for each chunk, and reports after each.
func (p *plan) each(chunks []probe.Segment, command, report string) {
	p.size = 0
	for i, c := range chunks {
		name := fmt.Sprintf("chunk%d.bin", i)
		p.files[name] = c.Data
		p.size += len(c.Data)
		p.add(command, name, c.Address)
		p.add("hallmark_say %s %d", report, p.size)
	}
}

// closed joins segments between which there is only a small gap.
func closed(segments []probe.Segment) (all []probe.Segment) {
	for _, s := range segments {
		last := len(all) - 1
		if last < 0 || uint64(s.Address)-all[last].End() >= gap {
			all = append(all, s)
			continue
		}
		data := append([]byte{}, all[last].Data...)
		for range uint64(s.Address) - all[last].End() {
			data = append(data, 0xff)
		}
		all[last].Data = append(data, s.Data...)
	}
	return all
}

// chunksOf cuts segments into chunks.
func chunksOf(segments []probe.Segment) (all []probe.Segment) {
	for _, s := range segments {
		for len(s.Data) > 0 {
			n := min(len(s.Data), chunk-int(s.Address%chunk))
			all = append(all, probe.Segment{Address: s.Address, Data: s.Data[:n]})
			s = probe.Segment{Address: s.Address + uint32(n), Data: s.Data[n:]}
		}
	}
	return all
}

// A follower turns reports into progress: half of it for writing, half for verifying.
type follower struct {
	total    int
	progress func(done, total int)
	writing  bool
}

func (f *follower) line(text string) {
	report, ours := strings.CutPrefix(text, reportPrefix)
	if !ours {
		return
	}
	word, number, _ := strings.Cut(report, " ")
	done, err := strconv.Atoi(number)
	switch {
	case word == "writing":
		f.writing, done = true, 0
	case err != nil:
		return
	case word == "verified":
		done += f.total / 2
	case word != "wrote":
		return
	}
	if f.progress != nil {
		f.progress(done, f.total)
	}
}
