package serve

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"hallmark/station/audit"
	"hallmark/station/witness"
)

// served names the directory that the test binary serves instead of running tests.
const served = "WITNESS_OF_THIS_TEST"

func TestMain(m *testing.M) {
	dir := os.Getenv(served)
	if dir == "" {
		os.Exit(m.Run())
	}
	commands := &Commands{Dir: &dir, Stdout: os.Stdout, Stderr: os.Stderr}
	command := commands.Command()
	command.SetArgs([]string{"serve", "--listen", "127.0.0.1:0"})
	if err := command.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// process starts a witness as a process of its own.
func process(t *testing.T, dir string) (cmd *exec.Cmd, url string) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), served+"="+dir)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	return cmd, "http://" + strings.TrimSpace(line[strings.LastIndex(line, " "):])
}

// Two forks of one log compete for the witness, which is killed at many moments. All that the
// witness ever cosigned is one log.
func TestAWitnessThatIsKilledNeverCosignsAFork(t *testing.T) {
	s := newStation(t).grow(5, "entry")
	dir := filepath.Join(t.TempDir(), "W")
	must(t, Init(dir, "witness.test/w1", []string{s.vkey}))
	competitors := []*competitor{{station: s.fork().grow(6, "left"), word: "left"}, {station: s.fork().grow(6, "right"), word: "right"}}
	for round := range 12 {
		cmd, url := process(t, dir)
		var work sync.WaitGroup
		for _, c := range competitors {
			c.client = clientOf(t, dir, url)
			work.Go(func() { c.compete(t) })
		}
		time.Sleep(time.Duration(5+11*round) * time.Millisecond) // the check holds for each moment
		must(t, cmd.Process.Signal(syscall.SIGKILL))
		_ = cmd.Wait()
		work.Wait()
	}
	all := append(competitors[0].cosigned, competitors[1].cosigned...)
	if len(all) == 0 {
		t.Fatal("nothing was cosigned")
	}
	for size, root := range roots(all) {
		if len(root) != 1 {
			t.Errorf("%d different logs of %d entries were cosigned", len(root), size)
		}
	}
	if len(competitors[0].cosigned) > 0 && len(competitors[1].cosigned) > 0 {
		t.Errorf("both forks were cosigned: %d and %d checkpoints", len(competitors[0].cosigned), len(competitors[1].cosigned))
	}
}

func roots(heads []audit.Head) map[int64]map[tlog.Hash]bool {
	all := map[int64]map[tlog.Hash]bool{}
	for _, h := range heads {
		if all[h.Size] == nil {
			all[h.Size] = map[tlog.Hash]bool{}
		}
		all[h.Size][h.Root] = true
	}
	return all
}

// A competitor is one fork, which grows with each cosignature.
type competitor struct {
	*station
	word     string
	client   *witness.Client
	old      int64
	cosigned []audit.Head
}

// compete asks for cosignatures until the witness is gone.
func (c *competitor) compete(t *testing.T) {
	for {
		_, err := c.client.AddCheckpoint(t.Context(), c.request(min(c.old, c.size)))
		var other *witness.SizeError
		switch {
		case err == nil:
			head, bad := audit.OpenCheckpoint(c.signed, c.vkey)
			if bad != nil {
				t.Error(bad)
			}
			c.cosigned, c.old = append(c.cosigned, head), head.Size
			c.grow(c.size+3, c.word)
		case errors.As(err, &other):
			if c.old = other.Size; c.old > c.size {
				c.grow(c.old, c.word)
			}
		case errors.Is(err, witness.ErrGone):
			return
		case !errors.Is(err, witness.ErrFork) && !errors.Is(err, witness.ErrTrouble):
			t.Error(err)
			return
		}
	}
}

func clientOf(t *testing.T, dir, url string) *witness.Client {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(dir, publicName(witnessKey)))
	must(t, err)
	client, err := witness.NewClient(witness.Config{Name: "hq", URL: url, Key: strings.TrimSpace(string(key))})
	must(t, err)
	t.Cleanup(client.Close)
	return client
}
