package main

import (
	"clickmill"
	"strings"
	"testing"
)

const config = `{"max_chars": 12, "spellings": {"fb": "facebook"}}`

// Runs the plugin over one row, in which the last column has this value and those before it have none.
func run(t *testing.T, value string) clickmill.Outcome {
	outcomes, err := clickmill.Test(plugin, config, map[string]any{reads[len(reads)-1]: value})
	if err != nil {
		t.Fatal(err)
	}
	return outcomes[0]
}

func TestValuesAreInOneSpelling(t *testing.T) {
	for value, wanted := range map[string]any{
		"  News \t Letter ": "news letter",
		"FB":                "facebook",
		"":                  nil,
		"   ":               nil,
	} {
		if got := run(t, value).Row[writes]; got != wanted {
			t.Errorf("%q: %v, wanted %v", value, got, wanted)
		}
	}
}

func TestWhatIsTooLongIsRefused(t *testing.T) {
	if refused := run(t, strings.Repeat("a", 12)).Refused; refused != nil {
		t.Error(refused)
	}
	refused := run(t, strings.Repeat("a", 13)).Refused
	if refused == nil || refused.Code != "too_long" || refused.Of != reads[len(reads)-1] {
		t.Error(refused)
	}
}

func TestAConfigurationIsCheckedWhole(t *testing.T) {
	_, err := clickmill.Test(plugin, `{"max_chars": 0, "spellings": {"FB": "facebook"}}`)
	if err == nil || strings.Count(err.Error(), ";") != 1 {
		t.Error(err)
	}
	_, err = clickmill.Test(plugin, `{"max_chars": -5}`)
	if err == nil || err.Error() != "`max_chars` is -5, wanted at least 1" {
		t.Error(err)
	}
}
