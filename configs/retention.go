package configs

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Retention says how long the record of a product is kept: until the latest of its dates.
type Retention struct {
	Years    int                `yaml:"years"`    // after the last unit (CRA Article 13(13): at least 10)
	CAYears  int                `yaml:"ca_years"` // after the end of the last certificate (CA/Browser Forum BR 5.4.3: 2)
	Products map[string]Product `yaml:"products"` // by the product of the work orders
}

// Product has the dates that the record does not know. Each is a day or empty.
type Product struct {
	LastUnit   string `yaml:"last_unit"`   // when the last unit was placed on the market; empty: when the last unit was made
	SupportEnd string `yaml:"support_end"` // end of the support period
}

// Day reads a date of a Product. An empty date is the zero time.
func Day(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.DateOnly, text)
}

func (r *Retention) check() error {
	err := errors.Join(checkRange("retention.years", r.Years, 1, 100), checkRange("retention.ca_years", r.CAYears, 0, 100))
	for _, name := range slices.Sorted(maps.Keys(r.Products)) {
		product := r.Products[name]
		for _, date := range []struct{ key, text string }{{"last_unit", product.LastUnit}, {"support_end", product.SupportEnd}} {
			if _, bad := Day(date.text); bad != nil {
				err = errors.Join(err, &ValueError{fmt.Sprintf("retention.products.%s.%s", name, date.key), strconv.Quote(date.text), "a day such as 2036-12-31", "correct it or leave the key out"})
			}
		}
	}
	return err
}
