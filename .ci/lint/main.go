// Command lint refuses private words as names, and names the standard term instead (rules.go). It reads every Go file
// below the working directory.
//
//	go run ./.ci/lint          prints file, line, name and standard term of each finding, and ends with 1
//	go run ./.ci/lint -list    prints the findings in the form of exceptions.txt
//
// Names in .ci/lint/exceptions.txt are allowed. The file may only get shorter, and may be missing.
package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

const exceptionsFile = ".ci/lint/exceptions.txt"

func main() {
	code, err := run(os.DirFS("."), slices.Contains(os.Args[1:], "-list"), os.Stdout)
	if err != nil {
		fmt.Fprintf(os.Stderr, "lint: %v\n", err)
	}
	os.Exit(code)
}

// A finding is a name that a rule refuses.
type finding struct {
	name
	word, write string
}

func run(root fs.FS, list bool, out io.Writer) (int, error) {
	found, err := find(root)
	if err != nil {
		return 1, err
	}
	if list {
		for _, key := range keys(found) {
			fmt.Fprintln(out, key)
		}
		return 0, nil
	}
	exceptions, err := readExceptions(root)
	if err != nil {
		return 1, err
	}
	return report(found, exceptions, out), nil
}

func find(root fs.FS) ([]finding, error) {
	all, err := names(root)
	if err != nil {
		return nil, err
	}
	var found []finding
	for _, n := range all {
		for i := range rules {
			if word := rules[i].refuses(n); word != "" {
				found = append(found, finding{n, word, rules[i].write})
			}
		}
	}
	return found, nil
}

// keys returns the sorted keys of the findings, each key once.
func keys(found []finding) []string {
	var all []string
	for _, f := range found {
		all = append(all, f.key())
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func readExceptions(root fs.FS) ([]string, error) {
	text, err := fs.ReadFile(root, exceptionsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the exceptions: %w", err)
	}
	return strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' }), nil
}

// report prints the refused names and the exceptions that are not needed any more. It returns exit code 1 only for refused names.
func report(found []finding, exceptions []string, out io.Writer) int {
	code := 0
	for _, f := range found {
		if slices.Contains(exceptions, f.key()) {
			continue
		}
		fmt.Fprintf(out, "%s:%d: %s %s: %q is a private word, write: %s\n", f.file, f.line, f.kind, f.text, f.word, f.write)
		code = 1
	}
	held := keys(found)
	for _, exception := range exceptions {
		if !slices.Contains(held, exception) {
			fmt.Fprintf(out, "%s: not needed any more: %s\n", exceptionsFile, exception)
		}
	}
	return code
}
