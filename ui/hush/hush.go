// Package hush keeps the program from talking to the terminal before main has begun.
//
// bubbletea v1 asks the terminal for its background colour when it is initialised (its tea_init.go), in every
// program that links it and whatever the subcommand: a terminal that does not answer, such as a serial console,
// holds the program up for five seconds, and what is typed or scanned meanwhile is lost. The screen uses no
// colour that depends on the background. termenv asks no terminal of the kind "dumb", so that is what this
// package says while bubbletea is initialised.
//
// It works because of the order of initialisation that the language fixes: of the packages that are ready the one
// whose import path comes first. This one needs only os, while bubbletea needs packages that come after
// "hallmark/ui/hush". TestNothingIsAskedOfATerminalThatDoesNotAnswer of package ui would notice otherwise.
package hush

import "os"

// terminal is what TERM was; it is written before main and read once.
var terminal, known = os.LookupEnv("TERM")

func init() { set("dumb") }

// Over gives the environment back. Package ui calls it when bubbletea is initialised.
func Over() {
	if known {
		set(terminal)
	} else if err := os.Unsetenv("TERM"); err != nil {
		panic(err) // the name is constant and good
	}
}

func set(value string) {
	if err := os.Setenv("TERM", value); err != nil {
		panic(err) // the name is constant and good
	}
}
