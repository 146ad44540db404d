package auditor

import (
	"slices"
	"testing"

	"hallmark/configs"
	"hallmark/station/registry"
)

func TestTheRecordIsKeptUntilTheLatestOfItsDates(t *testing.T) {
	const forever = "9999-12-31T23:59:59.000000000Z"
	for _, test := range []struct {
		name    string
		made    registry.Made
		product configs.Product
		until   string
		and     string
	}{
		{"ten years after the last unit", registry.Made{LastUnit: "2026-11-29T01:00:00.000000000Z"}, configs.Product{SupportEnd: "2031-01-01"}, "2036-11-29", ""},
		{"the end of support is later", registry.Made{LastUnit: "2026-11-29T01:00:00.000000000Z"}, configs.Product{SupportEnd: "2041-01-01"}, "2041-01-01", ""},
		{"the last unit was sold later", registry.Made{LastUnit: "2026-11-29T01:00:00.000000000Z"}, configs.Product{LastUnit: "2028-01-01", SupportEnd: "2031-01-01"}, "2038-01-01", ""},
		{"the station made a unit after the last one", registry.Made{LastUnit: "2026-11-29T01:00:00.000000000Z"}, configs.Product{LastUnit: "2020-01-01", SupportEnd: "2031-01-01"}, "2036-11-29", ""},
		{"certificates end later", registry.Made{LastUnit: "2026-11-29T01:00:00.000000000Z", NotAfter: "2046-11-29T00:00:00.000000000Z"}, configs.Product{SupportEnd: "2031-01-01"}, "2048-11-29", ""},
		{"certificates without an end", registry.Made{LastUnit: "2026-11-29T01:00:00.000000000Z", NotAfter: forever}, configs.Product{SupportEnd: "2031-01-01"}, "2036-11-29", "2 years after the issuing key was destroyed"},
		{"nobody said when support ends", registry.Made{LastUnit: "2026-11-29T01:00:00.000000000Z"}, configs.Product{}, "2036-11-29", "the end of support, which station.yaml does not name"},
		{"no unit passed", registry.Made{}, configs.Product{SupportEnd: "2031-01-01"}, "2031-01-01", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			rule := configs.Default().Retention
			rule.Products = map[string]configs.Product{"": test.product}
			row, err := keepUntil(test.made, &rule)
			if err != nil || !slices.Equal(row[5:], []string{test.until, test.and}) {
				t.Errorf("got %q, %v", row, err)
			}
		})
	}
}
