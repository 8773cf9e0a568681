//! What is given on the command line: a name or a place that is empty is mostly a script's variable that nobody has
//! set. It is refused before anything is done, for whatever option.

use std::ffi::OsStr;

use clap::builder::Str;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

/// The values of this name are words for people, who may say nothing.
const TEXT: &str = "TEXT";

/// Refuses what is empty, or nothing but blanks.
pub(super) fn check(command: &mut Command, matches: &ArgMatches) -> Result<(), clap::Error> {
    if let Some((name, within)) = matches.subcommand()
        && let Some(command) = command.find_subcommand_mut(name)
    {
        return check(command, within);
    }
    let Some(told) = command.get_arguments().find_map(|arg| what_is_empty(arg, matches)) else {
        return Ok(());
    };
    Err(command.error(ErrorKind::ValueValidation, told))
}

/// That a value of an argument is empty, where one is.
fn what_is_empty(arg: &Arg, matches: &ArgMatches) -> Option<String> {
    let is_text = |name: &[Str]| name.iter().any(|name| *name == TEXT);
    let id = arg.get_id().as_str();
    let mut values = matches.try_get_raw(id).ok()??;
    if arg.get_value_names().is_some_and(is_text) || !values.any(is_blank) {
        return None;
    }
    let of_variable = matches.value_source(id) == Some(ValueSource::EnvVariable);
    let variable = arg.get_env().filter(|_| of_variable).map(OsStr::to_string_lossy);
    let what = variable.map_or_else(|| format!("`{arg}`"), |variable| variable.into_owned());
    let instead = match (of_variable, arg.is_required_set()) {
        (true, _) => ", or unset it",
        (false, true) => "",
        (false, false) => ", or leave it out",
    };
    Some(format!("{what} is empty: say what is meant{instead}"))
}

fn is_blank(value: &OsStr) -> bool {
    value.to_string_lossy().trim().is_empty()
}
