//! On which lines of a pipeline file its settings stand.

use toml::de::{DeTable, DeValue};

/// The line, from 1 on, of a setting by its path, `plugin[1].limits.max_call_secs`, or of the one around it where that
/// is all that the file has. Of what `overrides` set beside the file there is none.
pub(super) fn line(text: &str, path: &str, overrides: &[String]) -> Option<usize> {
    let keys = || path.split(['.', '[']).map(|key| key.trim_end_matches(']'));
    let last = keys().rfind(|key| key.parse::<usize>().is_err())?;
    let set = |given: &String| {
        let key = given.split('=').next().unwrap_or_default();
        key.trim().rsplit('.').next() == Some(last)
    };
    if overrides.iter().any(set) {
        return None;
    }
    let document = DeTable::parse(text).ok()?;
    let (mut place, mut start): (Option<&DeValue<'_>>, Option<usize>) = (None, None);
    for key in keys() {
        let within = match place {
            None => field(document.get_ref(), key),
            Some(DeValue::Table(table)) => field(table, key),
            Some(DeValue::Array(list)) => {
                let item = key.parse().ok().and_then(|at: usize| list.get(at));
                item.map(|item| (item.span().start, item.get_ref()))
            }
            Some(_) => None,
        };
        let Some((at, value)) = within else { break };
        (place, start) = (Some(value), Some(at));
    }
    let before = text.get(..start?)?;
    Some(before.matches('\n').count() + 1)
}

/// Where a key of a table stands, and its value.
fn field<'t, 'i>(table: &'t DeTable<'i>, key: &str) -> Option<(usize, &'t DeValue<'i>)> {
    let (name, value) = table.iter().find(|(name, _)| name.get_ref() == key)?;
    Some((name.span().start, value.get_ref()))
}

#[cfg(test)]
mod tests {
    use super::line;

    const TEXT: &str = "name = \"a\"\nbatch = { max_rows = 1 }\n\n[[plugin]]\nname = \"b\"\n\n[[plugin]]\n\
                        [plugin.limits]\nmax_call_secs = 1\n[plugin.secrets]\n\"a key\" = 1\n";

    #[test]
    fn settings_are_found_by_their_paths() {
        for (path, wanted) in [
            ("name", Some(1)),
            ("batch", Some(2)),
            ("batch.max_rows", Some(2)),
            ("batch.max_bytes", Some(2)),
            ("plugin[0].name", Some(5)),
            ("plugin[1].limits.max_call_secs", Some(9)),
            ("plugin[1].secrets.a key", Some(11)),
            ("sink", None),
        ] {
            assert_eq!(line(TEXT, path, &[]), wanted, "{path}");
        }
        let set = ["plugin.b.limits.max_call_secs=x".to_owned()];
        assert_eq!(line(TEXT, "plugin[1].limits.max_call_secs", &set), None);
        assert_eq!(line(TEXT, "batch.max_rows", &set), Some(2));
        assert_eq!(line("no = toml = at all", "no", &[]), None);
    }
}
