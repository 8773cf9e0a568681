// What the SDK can, in one plugin: the same in each language, with the same golden cases.
package main

import (
	"clickmill"
	"fmt"
	"math"
	"slices"
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
	setup.Reads("flag", clickmill.Boolean)
	setup.Reads("ratio", clickmill.Float64)
	setup.Reads("clock", clickmill.Time)
	setup.Reads("local", clickmill.Datetime)
	setup.Reads("instant", clickmill.Timestamp)
	setup.Reads("document", clickmill.JSON)
	setup.Reads("blob", clickmill.Blob)
	setup.Reads("user", clickmill.Record)
	setup.ReadsList("items", clickmill.Record)
	setup.Writes("country", clickmill.Text)
	setup.Writes("number", clickmill.Int64)
	setup.Writes("day", clickmill.Date)
	setup.Writes("flag", clickmill.Boolean)
	setup.Writes("ratio", clickmill.Float64)
	setup.Writes("clock", clickmill.Time)
	setup.Writes("local", clickmill.Datetime)
	setup.Writes("instant", clickmill.Timestamp)
	setup.Writes("document", clickmill.JSON)
	setup.Writes("blob", clickmill.Blob)
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
	case "many":
		for at := range 1001 {
			row.Set("number", at)
			row.Emit()
		}
		return nil
	case "wide":
		row.Set("words", []any{strings.Repeat("x", 1_500_000)})
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
	if flag, ok := row.Boolean("flag"); ok {
		row.Set("flag", !flag)
	}
	if ratio, ok := row.Float64("ratio"); ok {
		row.Set("ratio", ratio*2)
	}
	for _, name := range []string{"clock", "local", "instant"} {
		if micros, ok := row.Int64(name); ok {
			row.Set(name, micros+1)
		}
	}
	if document, ok := row.Text("document"); ok {
		row.Set("document", "["+document+"]")
	}
	if blob, ok := row.Blob("blob"); ok {
		slices.Reverse(blob)
		row.Set("blob", blob)
	}
	user, _ := row.Record("user")
	if email, ok := user["email"].(string); ok {
		row.Set("user.email", strings.ToLower(email))
	}
	items := row.List("items")
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
