package instance_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"hallmark/configs"
	"hallmark/fixtures"
	"hallmark/station/instance"
	"hallmark/station/workdir"
)

// Each way to the HSM loads the module that station.yaml names, also that of an export which opens no registry for writing.
func TestTheHSMOfAStationThatEverybodyMayChangeIsNotOpened(t *testing.T) {
	t.Run("the configuration", func(t *testing.T) {
		dir := fixtures.NewDirectory(t)
		if err := os.Chmod(dir.Config(), 0o666); err != nil {
			t.Fatal(err)
		}
		export := instance.Export{Dir: dir, Out: filepath.Join(t.TempDir(), "B"), Language: "en", Sign: true}
		if _, err := export.Write(t.Context()); !errors.Is(err, workdir.ErrWritable) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the module", func(t *testing.T) {
		config := configs.Default()
		config.HSM.Module = filepath.Join(t.TempDir(), "module.so")
		if err := errors.Join(os.WriteFile(config.HSM.Module, nil, 0o600), os.Chmod(config.HSM.Module, 0o666)); err != nil {
			t.Fatal(err)
		}
		if _, err := instance.OpenToken(t.Context(), fixtures.NewDirectory(t), &config, nil, nil); !errors.Is(err, workdir.ErrWritable) {
			t.Errorf("got %v", err)
		}
	})
}
