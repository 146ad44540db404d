package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// The test runs the station's commands of each job in docs/ci.md, in their order, and checks that
// the reports that the job collects exist.
func TestTheJobsOfTheCIPageRun(t *testing.T) {
	needSoftHSM(t)
	firmware, program := firmwareFolder(t), stationProgram(t)
	text, err := os.ReadFile("../../../docs/ci.md")
	if err != nil {
		t.Fatal(err)
	}
	jobs := regexp.MustCompile("(?s)## ([^\n]+)\n\n```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(jobs) != 2 {
		t.Fatalf("%d jobs, want 2", len(jobs))
	}
	for _, job := range jobs {
		t.Run(job[1], func(t *testing.T) {
			var parsed map[string]any
			if err := yaml.Unmarshal([]byte(job[2]), &parsed); err != nil {
				t.Fatal(err)
			}
			work := t.TempDir()
			mustLink(t, program, filepath.Join(work, "build", "station"))
			mustLink(t, firmware, filepath.Join(work, "devices", "firmware", "build"))
			commands := regexp.MustCompile(`(?m)^ *(?:- )?(?:run: )?(build/station .*)$`).FindAllStringSubmatch(job[2], -1)
			if len(commands) != 3 {
				t.Fatalf("commands %q", commands)
			}
			for _, command := range commands {
				cmd := exec.Command("sh", "-euc", command[1])
				cmd.Dir = work
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", command[1], err, out)
				}
			}
			for name, want := range map[string]int{"runs.jsonl": 8, "runs.xml": 8, "checkpoint.txt": 1} {
				held, err := os.ReadFile(filepath.Join(work, name))
				count := map[string]int{"runs.jsonl": bytes.Count(held, []byte(`"ending":"pass"`)), "runs.xml": bytes.Count(held, []byte("<testcase ")), "checkpoint.txt": bytes.Count(held, []byte("hallmark/demo\n"))}
				if err != nil || count[name] != want || !strings.Contains(job[2], name) {
					t.Errorf("%s: %d of %d, %v\n%s", name, count[name], want, err, held)
				}
				for _, bay := range []string{"posix-1", "posix-2", "qemu-1", "qemu-2"} { // QEMU is slower, and has the same names
					if name == "runs.xml" && !(bytes.Contains(held, []byte(`name="`+bay+`"`)) && bytes.Contains(held, []byte(`name="`+bay+`/2"`))) {
						t.Errorf("no test cases %s and %s/2:\n%s", bay, bay, held)
					}
				}
			}
		})
	}
}

func mustLink(t *testing.T, to, name string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(to, name); err != nil {
		t.Fatal(err)
	}
}
