package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"hallmark/configs"
	"hallmark/devices"
	"hallmark/devices/emulated"
	"hallmark/station"
)

var (
	errNoFirmware  = errors.New("no firmware image for emulated boards; build it with `make firmware` (qemu-zephyr: `make zephyr`), or name it with --image, with --firmware or in station.yaml under firmware")
	errOneImage    = errors.New("--image is one image, for boards of one kind")
	errNotEmulated = errors.New("this station does not allow emulated boards (boards.allow_emulated in station.yaml)")
	errOnePerPort  = errors.New("a serial port gets one board in a batch; leave --count out or use emulated boards")
)

// A fleet makes bays of places.
type fleet struct {
	state    state
	firmware configs.Firmware
	folder   string // --firmware: where posix/ and qemu/ are, may be empty
	file     string // --image, may be empty
	baud     int
	network  bool // boards dial the verifier themselves
}

// images finds the image of each model that the places need.
func (f *fleet) images(places []place) (map[*model]string, error) {
	images := map[*model]string{}
	for _, p := range places {
		if p.model == nil || images[p.model] != "" {
			continue
		}
		if f.file != "" && len(images) > 0 {
			return nil, usage(errOneImage)
		}
		image, err := f.image(p.model)
		if err != nil {
			return nil, err
		}
		images[p.model] = image
	}
	return images, nil
}

// image looks where it was told to, or where `make firmware` puts images: below
// the working directory, or beside the directory of the program.
func (f *fleet) image(m *model) (string, error) {
	candidates := []string{m.image(f.firmware)}
	switch name := m.file(); {
	case f.file != "":
		candidates = []string{f.file}
	case f.folder != "":
		candidates = []string{filepath.Join(f.folder, name)}
	case candidates[0] == "":
		candidates = builtImages(name)
	}
	if i := slices.IndexFunc(candidates, fileExists); i >= 0 {
		return filepath.Abs(candidates[i])
	}
	return "", usage(fmt.Errorf("%s: %w (looked for %q)", m.name, errNoFirmware, candidates))
}

func builtImages(name string) []string {
	built := filepath.Join("devices", "firmware", "build", filepath.FromSlash(name))
	candidates := []string{built}
	if program, err := os.Executable(); err == nil {
		candidates = append(candidates, filepath.Join(filepath.Dir(program), "..", built))
	}
	return candidates
}

// bays makes one bay for each place.
func (f *fleet) bays(places []place) ([]*station.Bay, error) {
	images, err := f.images(places)
	if err != nil {
		return nil, err
	}
	var bays []*station.Bay
	for _, p := range places {
		next := f.emulated(p, images[p.model])
		if p.model == nil {
			next = f.serial(p)
		}
		bays = append(bays, &station.Bay{Name: p.bay, Next: next})
	}
	return bays, nil
}

// next is what a bay calls for its board.
type next func(context.Context) (station.Board, io.Closer, error)

// emulated gives board 1, 2, 3 ... of the bay. The directories stay, so the
// next batch meets the same boards in the same order.
func (f *fleet) emulated(p place, image string) next {
	number := 0 // a bay serves one board after the other
	return func(ctx context.Context) (station.Board, io.Closer, error) {
		number++
		return f.board(ctx, p, image, number)
	}
}

// board starts one emulated board of a bay.
func (f *fleet) board(ctx context.Context, p place, image string, number int) (station.Board, io.Closer, error) {
	board, err := emulated.Start(ctx, emulated.Config{
		Kind: p.model.kind, Machine: p.model.machine, Image: image,
		Dir:      f.state.in("bays", p.bay, strconv.Itoa(number)),
		Ethernet: f.network && p.model.kind == emulated.QEMU,
	})
	if err != nil {
		return nil, nil, err
	}
	client := devices.NewClient(board.Transport(), devices.Options{Reach: board.Reach})
	return client, closer{client, board}, nil
}

// A closer closes first the client, which then lets go of the line, and what is behind it.
type closer struct {
	client *devices.Client
	behind io.Closer
}

func (c closer) Close() error { return errors.Join(c.client.Close(), c.behind.Close()) }
