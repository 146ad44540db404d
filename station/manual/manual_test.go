package manual

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"hallmark/station/reason"
)

// program is a program with a command, a command below it, and a hidden command.
func program() *cobra.Command {
	run := func(*cobra.Command, []string) error { return nil }
	root := &cobra.Command{Use: "p", Short: "Does much", Long: "p does much.\n\nCodes:\n  0  good\n  1  bad\n.a line that begins with a dot\n'and a quote, and a \\ too."}
	sub := &cobra.Command{Use: "sub --in FILE", Short: "Does a part", RunE: run}
	sub.Flags().StringP("in", "i", "", "`file` that is read")
	sub.AddCommand(&cobra.Command{Use: "deep", Short: "Does little", RunE: run})
	root.AddCommand(sub, &cobra.Command{Use: "secret", Hidden: true, RunE: run})
	root.PersistentFlags().String("dir", "", "directory")
	return root
}

func run(root *cobra.Command, args ...string) (string, error) {
	var out bytes.Buffer
	root.AddCommand(Commands(&out, "1.2")...)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetArgs(args)
	err := root.Execute()
	return out.String(), err
}

func TestEachCommandHasAPage(t *testing.T) {
	folder := t.TempDir()
	if _, err := run(program(), "man", "--out", folder); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range files {
		files[i] = filepath.Base(file)
	}
	if got := strings.Join(files, " "); got != "p-completion.1 p-sub-deep.1 p-sub.1 p.1" {
		t.Errorf("pages %s", got)
	}
	page, err := os.ReadFile(filepath.Join(folder, "p.1"))
	if err != nil {
		t.Fatal(err)
	}
	const want = `.TH "P" 1 "" "hallmark 1.2" "Hallmark"
.SH NAME
p \- Does much
.SH SYNOPSIS
p [flags]
.SH DESCRIPTION
p does much.
.PP
Codes:
.nf
  0  good
  1  bad
.fi
\&.a line that begins with a dot
\&'and a quote, and a \e too.
.SH OPTIONS
.TP
.B \-\-dir string
directory
.SH SEE ALSO
.BR p\-completion (1),
.BR p\-sub (1)
`
	if string(page) != want {
		t.Errorf("got\n%s\nwant\n%s", page, want)
	}
}

func TestTheCompletionIsAScriptOfTheShell(t *testing.T) {
	script, err := run(program(), "completion", "bash")
	if err != nil {
		t.Fatal(err)
	}
	check := exec.CommandContext(t.Context(), "bash", "-n")
	check.Stdin = strings.NewReader(script)
	if out, err := check.CombinedOutput(); err != nil || !strings.Contains(script, "__start_p") {
		t.Errorf("%v: %s", err, out)
	}
	for _, shell := range []string{"zsh", "fish"} {
		if script, err := run(program(), "completion", shell); err != nil || !strings.Contains(script, "__complete") {
			t.Errorf("%s: %v", shell, err)
		}
	}
	if _, err := run(program(), "completion", "tcsh"); err == nil || reason.ExitOf(err) != reason.ExitUsage {
		t.Errorf("tcsh: %v", err)
	}
}

func TestAPageThatCannotBeWrittenIsNamed(t *testing.T) {
	if _, err := run(program(), "man"); reason.ExitOf(err) != reason.ExitUsage {
		t.Errorf("without --out: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := run(program(), "man", "--out", file); err == nil || !strings.Contains(err.Error(), "the manual page of p") || errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file in the place of the directory: %v", err)
	}
}
