// The first of some columns that says something, in one spelling.
//
// White space at both ends is taken away, within it becomes one blank, and letters become small ones. A value that
// is too long to be believed refuses its row. A row in which no column says anything gets a null.
package main

import (
	"clickmill"
	"strings"
	"unicode/utf8"
)

// The columns that a value is looked for in, one after the other.
var reads = []string{{{reads}}}

// The column that it is written to.
const writes = "{{writes}}"

// Config is the configuration, as a pipeline file has it: `clickmill plugin inspect` prints its documentation.
type Config struct {
	MaxChars  int               `json:"max_chars" doc:"The longest value that is believed, in characters. A row with a longer one is refused."`
	Spellings map[string]string `json:"spellings" doc:"Values in small letters, each with the one that is written in its place."`
}

var plugin = clickmill.Plugin[Config]{
	Name:        "{{name}}",
	Version:     "0.1.0",
	Description: "The first of some columns that says something, in one spelling",
	Default:     Config{MaxChars: 100},
	Configure:   configure,
	Row:         row,
}

// Looks at the configuration, before any row. What is wrong with it is told all at once.
func configure(config *Config, setup *clickmill.Setup) {
	if config.MaxChars < 1 {
		setup.Problem("`max_chars` is %d, wanted at least 1", config.MaxChars)
	}
	for spelling := range config.Spellings {
		if spelling != inOneSpelling(spelling) {
			setup.Problem("`spellings` has `%s`, which no value is", spelling)
		}
	}
	// The columns, with their types. The pipeline file grants no others.
	for _, column := range reads {
		setup.Reads(column, clickmill.Text)
	}
	setup.Writes(writes, clickmill.Text)
}

// Transforms one row, or refuses it: then it is a dead letter, and the others go on.
func row(config *Config, row *clickmill.Row) error {
	for _, column := range reads {
		text, _ := row.Text(column)
		value := inOneSpelling(text)
		if chars := utf8.RuneCountInString(value); chars > config.MaxChars {
			return clickmill.Reject("too_long", "has %d characters, wanted %d at most", chars, config.MaxChars).Column(column)
		}
		if value != "" {
			if spelling, ok := config.Spellings[value]; ok {
				value = spelling
			}
			row.Set(writes, value)
			return nil
		}
	}
	row.Set(writes, nil)
	return nil
}

func inOneSpelling(value string) string {
	return strings.ToLower(strings.Join(strings.Fields(value), " "))
}

func init() { clickmill.Export(plugin) }

func main() {}
