//! What is told of a configuration that cannot be.

use clickmill_plugin::prelude::*;
use clickmill_plugin::testing;

use super::rule;
use crate::Validate;

fn problems(config: &str, columns: &[Column]) -> Problems {
    testing::configure::<Validate>(config, columns).expect_err("the configuration has problems")
}

#[test]
fn all_problems_are_told_at_once_with_their_rule() {
    let columns = [
        Column::texts("t", [Some("")]),
        Column::float64s("f", [Some(1.0)]),
        Column::int64s("i", [Some(1)]),
        Column::dates("d", [Some(1)]),
    ];
    let config = rule(
        r#"{"required": {"columns": ["x", "t", "y"]}, "code": "No!"},
        {"range": {"column": "t", "min": 0}, "code": "plugin_trap"},
        {"range": {"column": "f"}},
        {"range": {"column": "f", "min": 2, "max": 1}},
        {"enum": {"column": "f", "values": ["a"]}},
        {"enum": {"column": "i", "values": ["a"]}},
        {"enum": {"column": "t", "values": []}},
        {"regex": {"column": "t", "pattern": "a("}},
        {"regex": {"column": "t", "pattern": "(\\w{1000}){1000}"}},
        {"length": {"column": "t"}},
        {"window": {"column": "t", "past_days": 1, "past_secs": 1}},
        {"window": {"column": "d"}},
        {"compare": {"left": "t", "op": "eq", "right": "f"}},
        {"compare": {"left": "t", "op": "like", "right": "f"}},
        {"starts": {"column": "i", "by": "f", "prefixes": {}}},
        {"code": "x"},
        {"range": {"column": "f", "min": 2}, "length": {"column": "t", "max": 1}},
        {"rang": {"column": "f", "min": 2}},
        {"range": {"min": 2}},
        {"length": {"column": "t", "max": 1}, "when": {"column": "d", "values": [1]}},
        {"length": {"column": "t", "max": 1}, "action": "ignore"},
        {"required": {"columns": []}}"#,
    );
    let there = "or it is not granted: there are `t`, `f`, `i`, `d`";
    assert_eq!(
        problems(&config, &columns),
        [
            "rule 1 (`required`): `code` is `No!`, wanted 1 to 64 of `a-z`, `0-9` and `_`",
            &format!("rule 1 (`required`): there is no column `x` here, {there}"),
            &format!("rule 1 (`required`): there is no column `y` here, {there}"),
            "rule 2 (`range`): `code` is `plugin_trap`: codes that begin with `plugin_` are the host's",
            "rule 2 (`range`): column `t` is text, wanted int64 or float64 or decimal",
            "rule 3 (`range`): has no limit: wanted `min` or `max`",
            "rule 4 (`range`): `min` is greater than `max`",
            "rule 5 (`enum`): column `f` is float64, wanted text or int64",
            "rule 6 (`enum`): `values` has \"a\", wanted int64 as column `i` has",
            "rule 7 (`enum`): `values` is empty",
            "rule 8 (`regex`): `pattern`: unclosed group",
            "rule 9 (`regex`): `pattern`: Compiled regex exceeds size limit of 1048576 bytes.",
            "rule 10 (`length`): has no limit: wanted `min` or `max`",
            "rule 11 (`window`): column `t` is text, wanted timestamp or date",
            "rule 11 (`window`): has both `past_days` and `past_secs`: wanted one of them",
            "rule 12 (`window`): has no limit: wanted `past_days`, `past_secs` or `future_secs`",
            "rule 13 (`compare`): columns `t` and `f` cannot be compared: one is text, the other float64",
            "rule 14 (`compare`): unknown variant `like`, expected one of `eq`, `ne`, `lt`, `le`, `gt`, `ge`",
            "rule 15 (`starts`): column `i` is int64, wanted text",
            "rule 15 (`starts`): column `f` is float64, wanted text or int64",
            "rule 15 (`starts`): `prefixes` is empty",
            "rule 16: has no check: wanted one of `required`, `enum`, `range`, `regex`, `length`, `elements`, `window`, `compare`, `starts`",
            "rule 17: has `range` and `length`: make a rule of each",
            "rule 18: unknown field `rang`, expected one of `code`, `action`, `when`, `required`, `enum`, `range`, `regex`, `length`, `elements`, `window`, `compare`, `starts`",
            "rule 19 (`range`): missing field `column`",
            "rule 20 (`length`): column `d` is date, wanted text or int64",
            "rule 21 (`length`): unknown variant `ignore`, expected `reject` or `drop`",
            "rule 22 (`required`): `columns` is empty",
        ]
    );
    assert_eq!(problems(&rule(""), &columns), ["`rules` has no rule, so nothing is checked"]);
    let config = r#"{"rules": [{"required": {"columns": ["t"]}}], "sensitive": ["T"]}"#;
    assert_eq!(problems(config, &columns), ["`sensitive` names `T`, which no rule reads"]);
}
