//! What became of golden cases, for machines.

use clickmill_core::causes;
use clickmill_sandbox::{StageMade, TestError, Tested};
use serde_json::{Value as Json, json};

/// The outcome of each file, or why its cases can't be run, as JSON.
pub(super) fn json(made: &StageMade, outcomes: &[(String, Result<Tested, TestError>)]) -> Json {
    let file = |(file, outcome): &(String, Result<Tested, TestError>)| match outcome {
        Ok(tested) => {
            let cases = tested.cases.iter().map(|case| {
                json!({
                    "name": case.name,
                    "passed": case.problem.is_none(),
                    "problem": case.problem,
                    "fuel_per_row": case.fuel_per_row,
                })
            });
            let cases: Vec<Json> = cases.collect();
            json!({ "file": file, "fuel": tested.fuel, "problem": tested.problem, "cases": cases })
        }
        Err(error) => json!({ "file": file, "error": causes(error), "cases": [] }),
    };
    let tested = outcomes.iter().filter_map(|(_, outcome)| outcome.as_ref().ok());
    let (cases, failed) = tested.fold((0, 0), |(cases, failed), tested| {
        (cases + tested.cases.len(), failed + tested.failed())
    });
    json!({
        "plugin": made.plugin,
        "version": made.version,
        "digest": made.component,
        "cases": cases,
        "failed": failed,
        "files": outcomes.iter().map(file).collect::<Vec<_>>(),
    })
}

/// The same as JUnit XML: a suite for each file. A budget of all its cases is one more, and so is a file whose
/// cases can't be run.
pub(super) fn junit(plugin: &str, outcomes: &[(String, Result<Tested, TestError>)]) -> String {
    let mut suites = String::new();
    let (mut all, mut all_failed, mut errors) = (0, 0, 0);
    for (file, outcome) in outcomes {
        let class = format!("{plugin}.{}", file.strip_suffix(".json").unwrap_or(file));
        let case = |name: &str, inner: &str| case(&class, name, inner);
        let failure = |problem: &Option<String>| match problem {
            Some(problem) => format!("<failure message=\"{}\"/>", xml(problem)),
            None => String::new(),
        };
        let mut cases = Vec::new();
        let (mut failed, mut broken) = (0, 0);
        match outcome {
            Ok(tested) => {
                for tested in &tested.cases {
                    let fuel = tested.fuel_per_row.map_or_else(String::new, |fuel| {
                        format!("<properties><property name=\"fuel_per_row\" value=\"{fuel}\"/></properties>")
                    });
                    failed += usize::from(tested.problem.is_some());
                    cases.push(case(&tested.name, &(fuel + &failure(&tested.problem))));
                }
                if tested.problem.is_some() {
                    failed += 1;
                    cases.push(case("max_fuel", &failure(&tested.problem)));
                }
            }
            Err(error) => {
                broken = 1;
                cases.push(case("cases can be run", &broken_by(&causes(error))));
            }
        }
        let tests = cases.len();
        suites += &suite(file, [tests, failed, broken], &cases.concat());
        all += tests;
        all_failed += failed;
        errors += broken;
    }
    whole(plugin, [all, all_failed, errors], &suites)
}

/// The report of a plugin that cannot be tested, since it cannot be built or loaded or has no cases: one suite, which is
/// an error. It takes the place of the report of a run before.
pub(super) fn junit_of_error(plugin: &str, error: &str) -> String {
    let (counts, case) = ([1, 0, 1], case(plugin, "the plugin can be tested", &broken_by(error)));
    whole(plugin, counts, &suite(plugin, counts, &case))
}

fn case(class: &str, name: &str, inner: &str) -> String {
    let (class, name) = (xml(class), xml(name));
    format!("    <testcase classname=\"{class}\" name=\"{name}\">{inner}</testcase>\n")
}

fn broken_by(error: &str) -> String {
    format!("<error message=\"{}\"/>", xml(error))
}

fn suite(name: &str, counts: [usize; 3], cases: &str) -> String {
    let (name, counts) = (xml(name), told(counts));
    format!("  <testsuite name=\"{name}\" {counts}>\n{cases}  </testsuite>\n")
}

fn whole(name: &str, counts: [usize; 3], suites: &str) -> String {
    let (name, counts) = (xml(name), told(counts));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{name}\" {counts}>\n{suites}</testsuites>\n"
    )
}

/// Cases, those that fail, and those that can't be run.
fn told([tests, failures, errors]: [usize; 3]) -> String {
    format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\"")
}

/// A text within an attribute. What XML can't say, whatever the escape, is shown as a replacement character.
fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\t' | '\n' | '\r' => escaped += &format!("&#{};", u32::from(character)),
            '\0'..' ' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use clickmill_sandbox::TestedCase;

    use super::*;

    #[test]
    fn junit_tells_failures_in_texts_that_xml_can_hold() {
        let case = |name: &str, problem: Option<&str>, fuel_per_row| TestedCase {
            name: name.to_owned(),
            problem: problem.map(str::to_owned),
            fuel_per_row,
            granted_per_row: None,
        };
        let tested = Tested {
            file: "clicks.json".to_owned(),
            cases: vec![case("good", None, Some(7)), case("a \"b\" <c>", Some("\0&\n'"), None)],
            fuel: 9,
            problem: Some("too much".to_owned()),
        };
        let told = junit("mask", &[("clicks.json".to_owned(), Ok(tested))]);
        let wanted = "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<testsuites name=\"mask\" tests=\"3\" failures=\"2\" errors=\"0\">
  <testsuite name=\"clicks.json\" tests=\"3\" failures=\"2\" errors=\"0\">
    <testcase classname=\"mask.clicks\" name=\"good\"><properties><property name=\"fuel_per_row\" value=\"7\"/></properties></testcase>
    <testcase classname=\"mask.clicks\" name=\"a &quot;b&quot; &lt;c&gt;\"><failure message=\"\u{fffd}&amp;&#10;'\"/></testcase>
    <testcase classname=\"mask.clicks\" name=\"max_fuel\"><failure message=\"too much\"/></testcase>
  </testsuite>
</testsuites>
";
        assert_eq!(told, wanted);
    }

    #[test]
    fn junit_tells_that_there_is_no_plugin_to_test() {
        let wanted = "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<testsuites name=\"a&amp;b\" tests=\"1\" failures=\"0\" errors=\"1\">
  <testsuite name=\"a&amp;b\" tests=\"1\" failures=\"0\" errors=\"1\">
    <testcase classname=\"a&amp;b\" name=\"the plugin can be tested\"><error message=\"no:&#10;why\"/></testcase>
  </testsuite>
</testsuites>
";
        assert_eq!(junit_of_error("a&b", "no:\nwhy"), wanted);
    }
}
