package manual

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// page gives the manual page of a command in the language of man(7). cobra's own pages join the lines of a table.
func page(cmd *cobra.Command, version string) string {
	name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %q 1 \"\" %q \"Hallmark\"\n.SH NAME\n%s \\- %s\n", strings.ToUpper(name), "hallmark "+version, name, escaped(cmd.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n%s\n", escaped(cmd.UseLine()))
	fmt.Fprintf(&b, ".SH DESCRIPTION\n%s", prose(cmp.Or(cmd.Long, cmd.Short+".")))
	section(&b, "OPTIONS", cmd.NonInheritedFlags())
	section(&b, "OPTIONS OF ALL COMMANDS", cmd.InheritedFlags())
	var others []string
	if cmd.HasParent() {
		others = append(others, reference(cmd.Parent()))
	}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" {
			others = append(others, reference(sub))
		}
	}
	if len(others) > 0 {
		fmt.Fprintf(&b, ".SH SEE ALSO\n%s\n", strings.Join(others, ",\n"))
	}
	return b.String()
}

func reference(cmd *cobra.Command) string {
	return `.BR ` + strings.ReplaceAll(escaped(cmd.CommandPath()), " ", `\-`) + ` (1)`
}

func section(b *strings.Builder, heading string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", heading)
	flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(flag)
		if flag.Shorthand != "" {
			fmt.Fprintf(b, ".TP\n.B \\-%s, \\-\\-%s\n%s\n", flag.Shorthand, escaped(flag.Name), escaped(usage))
			return
		}
		fmt.Fprintf(b, ".TP\n.B \\-\\-%s %s\n%s\n", escaped(flag.Name), escaped(value), escaped(usage))
	})
}

// prose gives paragraphs. A line that begins with a blank stays a line of its own, because it is a line of a table.
func prose(text string) string {
	var b strings.Builder
	table := false
	for line := range strings.SplitSeq(text, "\n") {
		if indented := strings.HasPrefix(line, " "); indented != table {
			table = indented
			b.WriteString(map[bool]string{true: ".nf\n", false: ".fi\n"}[table])
		}
		if line == "" {
			line = ".PP"
		} else {
			line = escaped(line)
		}
		b.WriteString(line + "\n")
	}
	if table {
		b.WriteString(".fi\n")
	}
	return b.String()
}

// escaped gives text without a meaning for man(7).
func escaped(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "\n", " ").Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}
