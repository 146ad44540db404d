package commander

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"hallmark/devices/probe"
)

// What the run that does the work says of another probe or of the supply counts, in whatever form a terminal would show it.
func TestAHiddenTextOfTheWorkCounts(t *testing.T) {
	const good = `Downloading file [part0.bin]...\nComparing flash\nFlash download: Bank 0 @ 0x00000000\nO.K.\nVerify successful.\nScript processing completed.\n`
	for _, test := range []struct {
		name, text string
		want       error
	}{
		{"the probe", `S/N: 683806234\nVTref=3.300V\n`, nil},
		{"no serial number", `VTref=3.300V\n`, probe.ErrUnclear},
		{"another probe", `S/N: 7\n`, probe.ErrWrongSerial},
		{"another probe after the right one", `S/N: 683806234\nS/N: 7\n`, probe.ErrWrongSerial},
		{"another probe after a carriage return", `S/N: 683806234\nx\rS/N: 7\n`, probe.ErrWrongSerial},
		{"another probe after a space", `S/N: 683806234\n S/N: 7\n`, probe.ErrWrongSerial},
		{"another probe in colours", `S/N: 683806234\nS/\033[1mN: 7\n`, probe.ErrWrongSerial},
		{"an error in colours", `S/N: 683806234\nEr\033[1mror: not done\n`, probe.ErrTool},
		{"a supply that fell", `S/N: 683806234\nVTref=3.300V\nVTref=0.000V\n`, probe.ErrVoltage},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "JLinkExe")
			text := fmt.Sprintf("#!/bin/sh\nfor a; do last=$a; done\nprintf 'SEGGER J-Link Commander V8.10\\nConnecting to J-Link via USB...O.K.\\n'\n"+
				"case \"$(cat \"$last\")\" in\n*loadfile*) printf '%s';;\n*) printf 'S/N: 683806234\\nVTref=3.300V\\nScript processing completed.\\n';;\nesac\n", test.text+good)
			if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
				t.Fatal(err)
			}
			driver, err := New(Config{Program: path, USB: t.TempDir(), Chip: Chip{Device: "x", KeepsLocked: true}})
			if err != nil {
				t.Fatal(err)
			}
			image := &probe.Image{Name: "fw.hex", Segments: []probe.Segment{{Data: []byte("abcd")}}}
			if err := driver.Open(probe.Selection{Serial: "683806234"}).Flash(t.Context(), image, nil); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}
