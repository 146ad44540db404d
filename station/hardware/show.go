package hardware

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"hallmark/configs"
	"hallmark/devices/usb"
)

// Options choose what Show shows.
type Options struct {
	Config string // path of station.yaml; empty: there is no station yet
	Sysfs  string // a recorded tree; empty: this machine
	YAML   bool
	JSON   bool
}

var errNoTree = errors.New("want a directory that holds sys and dev of a machine, such as a recorded one, or /")

// Check refuses options that contradict each other.
func (o Options) Check() error {
	if o.YAML && o.JSON {
		return errors.New("--yaml and --json: want one of them")
	}
	if _, err := os.Stat(filepath.Join(o.Sysfs, "sys")); o.Sysfs != "" && err != nil {
		return fmt.Errorf("--sysfs %s: %w", o.Sysfs, errNoTree)
	}
	return nil
}

// Show prints the bench as it is.
func Show(w io.Writer, o Options) error {
	var bays []configs.Bay
	if o.Config != "" {
		config, err := configs.Load(o.Config)
		if err != nil {
			return err
		}
		bays = config.Bays
	}
	root := "/"
	if o.Sysfs != "" {
		root = o.Sysfs
	}
	tree, err := usb.Scan(root)
	if err != nil {
		return err
	}
	if o.YAML {
		return WriteYAML(w, bays, tree)
	}
	rows, err := o.rows(bays, tree)
	if err != nil {
		return err
	}
	if o.Config == "" { // nobody compares
		for i := range rows {
			rows[i].Troubles = slices.DeleteFunc(rows[i].Troubles, func(trouble string) bool { return trouble == noBay })
		}
	}
	if o.JSON {
		return WriteJSON(w, rows)
	}
	return WriteTable(w, rows)
}

// rows compares bays and tree. Programs that use ports are known for this machine only.
func (o Options) rows(bays []configs.Bay, tree *usb.Tree) ([]Row, error) {
	if o.Sysfs != "" {
		return Compare(bays, filepath.Dir(o.Config), tree, nil), nil
	}
	states, err := MachineStates()
	if err != nil {
		return nil, err
	}
	return Compare(bays, filepath.Dir(o.Config), tree, states), nil
}
