package commander

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/devices/probe"
	"hallmark/station/reason"
)

// A transcript is what one run of J-Link Commander printed, from public logs and documents. Its head says what the run was for and
// what the driver must make of it.
type transcript struct {
	head map[string]string
	text string
}

func readTranscript(t *testing.T, path string) transcript {
	t.Helper()
	octets, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := transcript{head: map[string]string{}}
	var text strings.Builder
	for line := range strings.Lines(string(octets)) {
		if key, found := strings.CutPrefix(line, "#! "); found {
			name, value, _ := strings.Cut(strings.TrimSpace(key), " ")
			all.head[name] = value
			continue
		}
		text.WriteString(line)
	}
	all.text = text.String()
	return all
}

// Each transcript goes through the driver's own judgement.
func TestTranscripts(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) < 15 {
		t.Fatal(paths, err)
	}
	good := 0
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			all := readTranscript(t, path)
			if all.head["source"] == "" {
				t.Error("no source")
			}
			o := &outcome{text: all.text, script: strings.Split(all.head["script"], "; ")}
			if _, err := fmt.Sscan(all.head["exit"], &o.exit); err != nil {
				t.Fatal(err)
			}
			switch err := o.failure(); {
			case all.head["want"] == "" && err != nil, all.head["want"] != "" && decisive(err) != all.head["want"]:
				t.Errorf("got %v, want %q", err, all.head["want"])
			case err == nil:
				good++
				all.values(t, o)
			}
			if all.head["want"] == probe.ErrErased.Word() && !errors.Is(o.failure(), probe.ErrNeedsFlash) {
				t.Error("an erased chip needs flash")
			}
		})
	}
	if good < 5 {
		t.Errorf("only %d good runs", good)
	}
}

// decisive is the word of the reason that decides.
func decisive(err error) string { return reason.Of(err).Word }

// values compares what the head says of a good run.
func (all transcript) values(t *testing.T, o *outcome) {
	t.Helper()
	if serial := all.head["serial"]; serial != "" {
		if info, err := o.info(); err != nil || string(info.Serial) != serial || fmt.Sprint(info.Millivolts) != all.head["volts"] || info.Target != "Cortex-M4 r0p1" && info.Target != "Cortex-M4" {
			t.Errorf("info %+v, %v", info, err)
		}
	}
	var address, want uint32
	if _, err := fmt.Sscanf(all.head["word"], "0x%x 0x%x", &address, &want); err == nil {
		if word, err := o.word(address); err != nil || word != want {
			t.Errorf("word %#x, %v", word, err)
		}
	}
	var found []string
	for _, match := range listed().FindAllStringSubmatch(o.text, -1) {
		found = append(found, match[1])
	}
	if strings.Join(found, " ") != all.head["found"] {
		t.Errorf("found %v", found)
	}
}
