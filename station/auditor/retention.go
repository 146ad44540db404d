package auditor

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"hallmark/configs"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

func (c *Commands) retention() *cobra.Command {
	var form format
	cmd := &cobra.Command{
		Use:   "retention",
		Short: "Shows until when the record of each product must be kept",
		Long: `retention shows, for each product of the work orders, the day before which nothing of its record may be
removed: the latest of the years after its last unit, the end of its support, and the years after the end
of its last certificate (retention in station.yaml). The station itself never removes an entry; an
archive that "audit archive" made is part of the record, too.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := form.check(); err != nil {
				return reason.Usage(err)
			}
			return c.listRetention(cmd.Context(), form)
		},
	}
	form.flags(cmd.Flags())
	return cmd
}

func (c *Commands) listRetention(ctx context.Context, form format) error {
	return c.WithReader(ctx, func(dir workdir.Dir, reader *registry.Reader) error {
		config, _, err := instance.ReadSettings(dir)
		if err != nil {
			return reason.Usage(err)
		}
		products, err := reader.Products(ctx)
		if err != nil {
			return err
		}
		l := list{columns: []string{"product", "boards", "last_unit", "support_end", "last_certificate_ends", "keep_until", "and"}}
		for _, made := range products {
			row, err := keepUntil(made, &config.Retention)
			if err != nil {
				return err
			}
			l.add(row...)
		}
		return form.print(c.Stdout, l)
	})
}

// untilDestroyed is the rule for a certificate without an end (RFC 5280 section 4.1.2.5).
const untilDestroyed = "%s after the issuing key was destroyed"

// keepUntil gives the row of one product. keep_until is the latest of the known dates.
func keepUntil(made registry.Made, rule *configs.Retention) ([]string, error) {
	product := rule.Products[made.Product]
	last, err := lastUnit(made, product)
	if err != nil {
		return nil, err
	}
	support, err := configs.Day(product.SupportEnd)
	if err != nil {
		return nil, err
	}
	latest, and, err := keptUntil(made, rule)
	return []string{made.Product, strconv.Itoa(made.Boards), day(last), day(support), made.NotAfter, day(latest), and}, err
}

// keptUntil gives the latest of the known dates, and in words what else must have passed.
func keptUntil(made registry.Made, rule *configs.Retention) (latest time.Time, and string, err error) {
	product := rule.Products[made.Product]
	last, err := lastUnit(made, product)
	if err != nil {
		return latest, "", err
	}
	if latest, err = configs.Day(product.SupportEnd); err != nil {
		return latest, "", err
	}
	if !last.IsZero() {
		latest = later(latest, last.AddDate(rule.Years, 0, 0))
	}
	if ends, err := time.Parse(time.RFC3339Nano, made.NotAfter); err == nil && ends.Year() < 9999 {
		latest = later(latest, ends.AddDate(rule.CAYears, 0, 0))
	} else if made.NotAfter != "" {
		and = fmt.Sprintf(untilDestroyed, reason.Count(rule.CAYears, "year", "years"))
	}
	if product.SupportEnd == "" {
		and = joined(and, "the end of support, which station.yaml does not name")
	}
	return latest, and, nil
}

// lastUnit gives the day from station.yaml, or the day on which the last unit was made. The later
// of both counts, because the station may have gone on.
func lastUnit(made registry.Made, product configs.Product) (time.Time, error) {
	named, err := configs.Day(product.LastUnit)
	if err != nil || made.LastUnit == "" {
		return named, err
	}
	newest, err := time.Parse(time.RFC3339Nano, made.LastUnit)
	return later(named, newest), err
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func joined(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}
