package auditor

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"hallmark/configs"
	"hallmark/station/reason"
)

func (c *Commands) checkRecipe() *cobra.Command {
	var print bool
	cmd := &cobra.Command{
		Use:   "recipe FILE",
		Short: "Says what a recipe for a programmer does, and whether a bay can use it; needs no station",
		Long: `recipe reads a recipe, or an embedded one by its name, and says which work it describes. It runs no programmer. Exit code 0: a bay
with a probe can use it. 1: it lacks something that a bay needs. 3: the file cannot be used at all.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if print {
				return c.printRecipe(args[0])
			}
			return c.describeRecipe(args[0])
		},
	}
	cmd.Flags().BoolVar(&print, "print", false, "print the recipe, as the beginning of one of your own")
	return cmd
}

func (c *Commands) printRecipe(name string) error {
	text, err := configs.RecipeText(name, ".")
	if err != nil {
		return reason.Usage(err)
	}
	_, err = c.Stdout.Write(text)
	return err
}

func (c *Commands) describeRecipe(name string) error {
	described, err := configs.Recipe(name, ".")
	if err != nil {
		return reason.Usage(err)
	}
	does, lacks := described.Work()
	fmt.Fprintf(c.Stdout, "%s: program %s, versions %s\ntested: %s\ndoes: %s\n", reason.Printable(described.Name), reason.Printable(described.Program),
		reason.Printable(described.Version.Known), reason.Printable(described.Tested), strings.Join(does, ", "))
	if len(lacks) > 0 {
		fmt.Fprintf(c.Stdout, "does not: %s\n", strings.Join(lacks, ", "))
	}
	if described.HidesProbe() {
		fmt.Fprintln(c.Stdout, "note: no step has a pattern serial, so nobody can compare the probe that the programmer took with the one of the bay. Beside another probe of that kind the bay needs probe.usb, the USB path of its probe. That the probe leads to the board on the UART is proven all the same, by a restart")
	}
	if err := configs.FitsBay(described); err != nil {
		return err
	}
	fmt.Fprintln(c.Stdout, "nothing is missing for a bay")
	return nil
}
