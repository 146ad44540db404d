package emulated

import (
	"context"
	"fmt"
	"path/filepath"
)

// launchPosix starts the core as a process of this system. It is ready to
// answer as soon as it reads its line; nothing has to be waited for.
func (b *Board) launchPosix(context.Context) (*process, error) {
	image, err := filepath.Abs(b.cfg.Image)
	if err != nil {
		return nil, fmt.Errorf("finding the firmware image: %w", err)
	}
	args := []string{"-fuses", "/proc/self/fd/4", "-flash", flashFile, "-line", "3"}
	return b.begin(b.command(image, args, b.line.far, b.dir.fuses))
}
