// What the SDK can, in one plugin: the same in each language, with the same golden cases.
package main

import (
	"clickmill"
	"fmt"
	"math"
	"strings"
)

type Config struct {
	Most int    `json:"most" doc:"How many items are believed."`
	Key  string `json:"key" doc:"A secret."`
}

func configure(config *Config, setup *clickmill.Setup) {
	setup.Reads("what", clickmill.Text)
	setup.Reads("country", clickmill.Text)
	setup.Reads("number", clickmill.Int64)
	setup.Reads("day", clickmill.Date)
	setup.Reads("user", clickmill.Record)
	setup.ReadsList("items", clickmill.Record)
	setup.Writes("country", clickmill.Text)
	setup.Writes("number", clickmill.Int64)
	setup.Writes("day", clickmill.Date)
	setup.Writes("seen", clickmill.Timestamp)
	setup.Writes("user.email", clickmill.Text)
	setup.Writes("items.total", clickmill.NumericDecimal)
	setup.Writes("total", clickmill.NumericDecimal)
	setup.WritesList("words", clickmill.Text)
	setup.LooksUp("countries")
	setup.Multiplies()
}

func row(config *Config, row *clickmill.Row) error {
	what, _ := row.Text("what")
	switch what {
	case "fail":
		panic("as asked")
	case "drop":
		row.FilterOut()
		return nil
	case "now":
		row.Set("seen", row.IngestTime())
	case "next":
		number, err := row.RequireInt64("number")
		if err != nil {
			return err
		}
		if number == math.MaxInt64 {
			return fmt.Errorf("%d is the last of its kind", number)
		}
		row.Set("number", number+1)
	case "secret":
		row.Set("number", len(config.Key))
	case "twice":
		number, _ := row.Int64("number")
		row.Set("words", []any{"first"})
		row.Emit()
		row.Set("number", number+1)
		row.Set("words", []any{"second"})
		row.Emit()
		return nil
	}
	if strings.HasPrefix(what, "words") {
		words := []any{}
		for _, word := range strings.Fields(what) {
			words = append(words, word)
		}
		row.Set("words", words)
	}
	if country, ok := row.Text("country"); ok {
		found, err := clickmill.Find("countries", "name", country)
		if err != nil {
			return err
		}
		row.Set("country", nil)
		if found[0] != nil {
			row.Set("country", *found[0])
		}
	}
	if day, ok := row.Int64("day"); ok {
		row.Set("day", day+1)
	}
	if email, ok := row.Text("user.email"); ok {
		row.Set("user.email", strings.ToLower(email))
	}
	items, _ := row.Value("items").([]any)
	if len(items) > config.Most {
		return clickmill.Reject("too_many", "has %d items, wanted %d at most", len(items), config.Most).Column("items")
	}
	sum, totals := clickmill.Decimal{}, []any{}
	for at, item := range items {
		item := item.(map[string]any)
		price, ok := item["price"].(clickmill.Decimal)
		if !ok {
			path := fmt.Sprintf("items[%d].price", at)
			return clickmill.Reject("required", "`%s` is missing", path).Column(path)
		}
		total := price.Times(item["quantity"].(int64))
		totals = append(totals, total)
		sum = sum.Plus(total)
	}
	row.Set("items.total", totals)
	row.Set("total", sum)
	return nil
}

func init() {
	clickmill.Export(clickmill.Plugin[Config]{
		Name:        "orders",
		Version:     "1.2.3",
		Description: "What the SDK can",
		Secrets:     []clickmill.Secret{{Name: "key", MinBytes: 20}},
		Configure:   configure,
		Row:         row,
	})
}

func main() {}
