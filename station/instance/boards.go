package instance

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
	"hallmark/devices/probe/openocd"
	"hallmark/devices/serial"
	"hallmark/devices/serial/remote"
	"hallmark/station"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

var (
	errNoFirmware  = errors.New("no firmware image for emulated boards; build it with `make firmware` (qemu-zephyr: `make zephyr`), or name it with --image, with --firmware or in station.yaml under firmware")
	errOneImage    = errors.New("--image is one image, for boards of one kind")
	errNotEmulated = errors.New("this station does not allow emulated boards (boards.allow_emulated in station.yaml)")
)

// Images says where the images of emulated boards are. Both fields may be empty.
type Images struct {
	Folder string // --firmware: the directory that holds posix/ and qemu/
	File   string // --image: one image, for boards of one kind
}

// A BoardSource opens the boards that sit in bays.
type BoardSource struct {
	files  *Files
	images map[string]string            // by the name of the kind
	ports  map[string]station.DebugPort // by the name of the bay; nil: the bay has none
	links  map[string]*openocd.Link     // by the name of the bay; nil: the bay has a UART
}

// Boards makes a BoardSource for bays. It refuses emulated boards if the configuration does
// not allow them, emulated boards without an image, and two bays with one port or one probe.
func (f *Files) Boards(bays []BaySpec, where Images) (*BoardSource, error) {
	s := &BoardSource{files: f, images: map[string]string{}, ports: map[string]station.DebugPort{}, links: map[string]*openocd.Link{}}
	for _, bay := range bays {
		if bay.Kind == nil || s.images[bay.Kind.Name] != "" {
			continue
		}
		if !f.Config.Boards.AllowEmulated {
			return nil, reason.Usage(fmt.Errorf("--boards %s: %w", bay.Name, errNotEmulated))
		}
		if where.File != "" && len(s.images) > 0 {
			return nil, reason.Usage(errOneImage)
		}
		image, err := f.image(bay.Kind, where)
		if err != nil {
			return nil, err
		}
		s.images[bay.Kind.Name] = image
	}
	if err := errors.Join(s.distinctPorts(bays), s.distinctProbes(bays)); err != nil {
		return nil, reason.Usage(err)
	}
	return s, s.openPorts(bays)
}

// openPorts prepares the debug ports of bays. No probe is asked yet.
func (s *BoardSource) openPorts(bays []BaySpec) error {
	for _, bay := range bays {
		emulated := ""
		if bay.Kind != nil {
			emulated = s.images[bay.Kind.Name]
		}
		link, err := s.files.link(bay)
		if err != nil {
			return err
		}
		port, err := s.files.debugPort(bay, emulated, link)
		if err != nil {
			return err
		}
		s.ports[bay.Name], s.links[bay.Name] = port, link
	}
	return nil
}

// DebugPort returns the debug port of the boards in a bay; nil: the bay has none.
func (s *BoardSource) DebugPort(bay BaySpec) station.DebugPort { return s.ports[bay.Name] }

// image finds the image of a kind: the image that a flag or the configuration names, otherwise
// the image that `make firmware` built below the working directory or beside the directory of
// the program.
func (f *Files) image(kind *EmulatedKind, where Images) (string, error) {
	candidates := kind.candidates(f.Config.Firmware, where)
	if i := slices.IndexFunc(candidates, workdir.Exists); i >= 0 {
		if err := workdir.CheckRegular(candidates[i]); err != nil {
			return "", reason.Usage(fmt.Errorf("image of %s: %w", kind.Name, err))
		}
		return filepath.Abs(candidates[i])
	}
	return "", reason.Usage(fmt.Errorf("%s: %w (looked for %q)", kind.Name, errNoFirmware, candidates))
}

// candidates returns the paths where the image of the kind may be, the first choice first.
func (k *EmulatedKind) candidates(firmware configs.Firmware, where Images) []string {
	name, configured := k.ImageFile(), k.image(firmware)
	switch {
	case where.File != "":
		return []string{where.File}
	case where.Folder != "":
		return []string{filepath.Join(where.Folder, name)}
	case configured != "":
		return []string{configured}
	}
	return builtImages(name)
}

// HasImage reports whether a station with this configuration finds an image for a kind of
// emulated boards when no flag names the image.
func HasImage(config *configs.Config, kind string) bool {
	kinds := EmulatedKinds()
	i := slices.IndexFunc(kinds, func(k EmulatedKind) bool { return k.Name == kind })
	return i >= 0 && slices.ContainsFunc(kinds[i].candidates(config.Firmware, Images{}), workdir.Exists)
}

func builtImages(name string) []string {
	built := filepath.Join("devices", "firmware", "build", filepath.FromSlash(name))
	candidates := []string{built}
	if program, err := os.Executable(); err == nil {
		candidates = append(candidates, filepath.Join(filepath.Dir(program), "..", built))
	}
	return candidates
}

// Open opens the board that sits in a bay. The io.Closer closes the board. In a bay with
// emulated boards, Open starts the board with this number. The directory of an emulated board
// stays, so a later call with the same number starts the same board again. Open finds and opens a serial
// port at each call, so that an adapter can be pulled out and put back between two calls.
func (s *BoardSource) Open(ctx context.Context, bay BaySpec, number int) (*devices.Client, io.Closer, error) {
	if bay.Kind == nil {
		return s.openPort(bay)
	}
	config := emulated.Config{
		Kind: bay.Kind.kind, Machine: bay.Kind.machine, Image: s.images[bay.Kind.Name],
		Dir:      s.files.Dir.In("bays", bay.Name, strconv.Itoa(number)),
		Ethernet: s.files.OverNetwork() && bay.Kind.kind == emulated.QEMU,
	}
	if s.ports[bay.Name] != nil { // a new board of a bay with a probe is blank
		config.Image = ""
	}
	config.Unwired, config.DebugSocket = bay.overRTT(), bay.overRTT() || s.ports[bay.Name] != nil
	board, err := emulated.Start(ctx, config)
	if err != nil {
		return nil, nil, err
	}
	options := devices.Options{Answer: emulated.AnswerTime, Reach: board.Reach}
	if bay.overRTT() {
		client, _, err := s.openRTT(bay, options)
		if err != nil {
			return nil, nil, errors.Join(err, board.Close())
		}
		return client, closers{client, board}, nil
	}
	client := devices.NewClient(board.Transport(), options)
	return client, closers{client, board}, nil
}

func (s *BoardSource) openPort(bay BaySpec) (*devices.Client, io.Closer, error) {
	config, options := s.portConfig(bay), devices.Options{}
	if bay.Bay != nil {
		options.Answer = bay.Bay.Answer
	}
	if bay.overRTT() {
		return s.openRTT(bay, options)
	}
	if bay.Port != "" && !remote.Is(bay.Port) {
		config.Find = s.followed(bay.Port, config.Find)
	}
	port, err := serial.OpenStable(config)
	if err != nil {
		return nil, nil, err
	}
	client := devices.NewClient(port, options)
	return client, client, nil // closing the client closes the port
}

// closers are closed in their order. The client comes first, because it uses the process of the board.
type closers []io.Closer

func (c closers) Close() error {
	var errs []error
	for _, closer := range c {
		errs = append(errs, closer.Close())
	}
	return errors.Join(errs...)
}
