//! The command line: one file per verb. The only place that prints, beside `clickmill-sql`. Data goes to standard output, talk
//! to standard error.

// First, for its macros stand in for those of the standard library below.
#[macro_use]
mod print;

mod admin;
mod audit;
mod canary_args;
mod compile;
mod dashboard;
mod dead_letter;
mod demo;
mod duration;
mod exec;
mod exit;
mod fleet;
mod generate;
mod given;
mod ids;
mod init;
mod loads;
mod new_folder;
mod owner;
mod permissions;
mod pipeline_args;
mod place;
mod plugin;
mod query;
mod run;
mod running;
mod schema;
mod tables;
mod tap;
mod top;
mod validate;
mod warehouse;

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub use exit::{Exit, Failure};

use clickmill_core::{panics, private};
use clickmill_telemetry as telemetry;

const EXAMPLES: &str = "\
Examples:
  clickmill demo
  clickmill run host/pipelines/batch.toml --set source.uri=clothing.csv
  clickmill query \"SELECT COUNT(*) FROM clickstream_analytics.clickstream_batch\"
  clickmill dead-letter list

Exit codes: 0 done, 1 the run failed, 2 bad input or configuration, 3 the environment (unreachable, denied, full)";

/// Sandboxed Wasm plugins between your click events and BigQuery
#[derive(Debug, Parser)]
#[command(name = "clickmill", version, after_help = EXAMPLES, disable_help_subcommand = true)]
struct Cli {
    /// Warehouse: a folder or gs://bucket/prefix
    #[arg(
        long,
        global = true,
        value_name = "URI",
        env = "CLICKMILL_WAREHOUSE",
        default_value = "./clickmill-data/warehouse"
    )]
    warehouse: String,

    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the batch and the stream pipeline on generated data and show both, on this machine
    Demo(demo::Demo),
    /// Look at data and write a pipeline for them: columns, masks, rules
    Init(init::Init),
    /// Run a pipeline: to the end of its source, or a stream until told to stop
    Run(run::Run),
    /// Run the chain for another engine, by frames on standard input and output
    Exec(exec::Exec),
    /// Check a pipeline, its plugins and its table, without running it
    Validate(validate::Validate),
    /// Print the JSON Schema of pipeline files, for editors
    Schema(schema::Schema),
    /// Generate realistic events: shop clicks as CSV, clicks and nested events as JSON
    Generate(generate::Generate),
    /// Query the warehouse with BigQuery SQL
    Query(query::Query),
    /// Show the dashboard over the warehouse or BigQuery, as a web page
    Dashboard(dashboard::Serve),
    /// Show how a running pipeline does, live
    Top(top::Top),
    /// Show rows of a running pipeline as they pass
    Tap(tap::Tap),
    /// List, show and replay rejected records
    #[command(subcommand)]
    DeadLetter(dead_letter::DeadLetter),
    /// Show which objects are loaded and which are not, and load those once more
    #[command(subcommand)]
    Loads(loads::Loads),
    /// Show who changed what in a pipeline, and check that the log is whole
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Show and make the tables and views of a pipeline in BigQuery
    #[command(subcommand)]
    Tables(tables::Tables),
    /// Maintain the folder that the tables are in
    #[command(subcommand)]
    Warehouse(warehouse::Maintenance),
    /// List the roles a pipeline needs on Google Cloud, for the host and for readers
    Permissions(permissions::Permissions),
    /// Begin, build, inspect, test, sign and swap plugins
    #[command(subcommand)]
    Plugin(plugin::Plugin),
    /// Swap the plugins of all processes that run a pipeline, or of none
    #[command(subcommand)]
    Fleet(fleet::FleetVerb),
    #[command(hide = true)]
    Compile(compile::Compile),
}

/// Parses the arguments and does what they say.
pub fn main() -> ExitCode {
    panics::tell();
    let cli = match parse(std::env::args_os()) {
        Ok(cli) => cli,
        // Help, which is ours.
        Err(error) if !error.use_stderr() => error.exit(),
        // It quotes arguments, and those may be names of strangers' files.
        Err(error) => {
            eprintln!("{}", error.render().to_string().trim_end());
            return Exit::BadInput.into();
        }
    };
    // What compiles says nothing but to the process that started it.
    let _telemetry = (!matches!(cli.verb, Verb::Compile(_))).then(telemetry::start);
    if let Err(value) = private::umask() {
        let variable = private::UMASK_VARIABLE;
        eprintln!("error: {variable} is `{value}`, wanted an octal number, such as 027");
        return Exit::BadInput.into();
    }
    if let Err(value) = clickmill_query::memory_mb() {
        let variable = clickmill_query::MEMORY_VARIABLE;
        eprintln!("error: {variable} is `{value}`, wanted a number of MiB, such as 4096");
        return Exit::BadInput.into();
    }
    match catch_unwind(AssertUnwindSafe(|| run(cli))) {
        Ok(Ok(code)) => code,
        // A container may have more of them the next time.
        failed if panics::lacked_threads() => {
            if let Ok(Err(failure)) = failed {
                eprintln!("{failure}");
            }
            eprintln!("error: {}", panics::NO_THREADS);
            Exit::Environment.into()
        }
        Ok(Err(failure)) => {
            eprintln!("{failure}");
            failure.exit.into()
        }
        Err(panic) => resume_unwind(panic),
    }
}

fn parse(
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<Cli, clap::Error> {
    let mut command = Cli::command();
    let mut matches = command.try_get_matches_from_mut(arguments)?;
    given::check(&mut command, &matches)?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    match cli.verb {
        Verb::Demo(verb) => verb.run(&cli.warehouse)?,
        Verb::Init(verb) => verb.run()?,
        Verb::Run(verb) => verb.run(&cli.warehouse)?,
        Verb::Exec(verb) => verb.run(&cli.warehouse)?,
        Verb::Validate(verb) => verb.run(&cli.warehouse)?,
        Verb::Schema(verb) => verb.run()?,
        Verb::Generate(verb) => verb.run()?,
        Verb::Query(verb) => verb.run(&cli.warehouse)?,
        Verb::Dashboard(verb) => verb.run(&cli.warehouse)?,
        Verb::Top(verb) => verb.run()?,
        Verb::Tap(verb) => verb.run()?,
        Verb::DeadLetter(verb) => verb.run(&cli.warehouse)?,
        Verb::Loads(verb) => verb.run(&cli.warehouse)?,
        Verb::Audit(verb) => verb.run(&cli.warehouse)?,
        Verb::Tables(verb) => verb.run()?,
        Verb::Warehouse(verb) => verb.run(&cli.warehouse)?,
        Verb::Permissions(verb) => verb.run(&cli.warehouse)?,
        Verb::Plugin(verb) => verb.run(&cli.warehouse)?,
        Verb::Fleet(verb) => verb.run(&cli.warehouse)?,
        Verb::Compile(verb) => return Ok(verb.run()),
    }
    Ok(Exit::Done.into())
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    /// A terminal of so many characters wraps what is longer, and half of a command is no example.
    const WIDTH: usize = 80;

    fn check(command: &clap::Command) {
        if command.is_hide_set() {
            return;
        }
        let name = command.get_name();
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(help.contains("Examples:\n  clickmill "), "{name}: {help}");
        let wide = help.lines().find(|line| line.starts_with("  ") && line.len() > WIDTH);
        assert_eq!(wide, None, "{name}");
        // Where a value of an option has a text of its own, all options are spread over several lines each.
        let long = command.clone().render_long_help().to_string();
        assert!(!long.contains("see a summary with '-h'"), "{name}: {long}");
        command.get_subcommands().for_each(check);
    }

    #[test]
    fn each_command_has_examples_that_are_shown_whole() {
        check(&Cli::command());
    }

    #[test]
    fn there_are_no_more_workers_than_a_pipeline_file_may_have() {
        let exec = |workers| parse(["clickmill", "exec", "p.toml", "--workers", workers]);
        for wrong in ["0", "257", "100000", "18446744073709551615"] {
            let error = exec(wrong).expect_err(wrong);
            assert_eq!(error.kind(), ErrorKind::ValueValidation, "{wrong}: {error}");
        }
        assert!(exec("256").is_ok());
    }

    #[test]
    fn no_duration_is_longer_than_a_clock_counts() {
        const LONG: &str = "500000000000years";
        for arguments in [
            &["run", "pipeline.toml", "--stop-when-idle", LONG][..],
            &["demo", "--for", LONG],
            &["dashboard", "--refresh", LONG],
            &["plugin", "swap", "mask=mask.wasm", "--canary", "5%", "--canary-for", LONG],
            &["fleet", "swap", "pipeline.toml", "--canary", "5%", "--canary-for", LONG],
        ] {
            let given = [&["clickmill"], arguments].concat();
            let error = parse(given).expect_err("it is too long");
            assert_eq!(error.kind(), ErrorKind::ValueValidation, "{arguments:?}: {error}");
        }
    }

    #[test]
    fn a_name_or_place_that_is_empty_is_refused_whatever_it_is_of() {
        for (given, told) in [
            (&["dead-letter", "list", "--dataset", ""][..], "`--dataset <DATASET>` is empty"),
            (&["--warehouse", "", "query", "SELECT 1"], "`--warehouse <URI>` is empty"),
            (&["query", "SELECT 1", "--warehouse", "  "], "`--warehouse <URI>` is empty"),
            (&["query", "\t"], "`<SQL>` is empty: say what is meant\n"),
            (&["warehouse", "compact", ""], "`[WAREHOUSE]` is empty"),
            (&["warehouse", "compact", "--table", " "], "`--table <DATASET.TABLE>` is empty"),
            (&["loads", "list", "--pipeline", " "], "`--pipeline <PIPELINE.toml>` is empty"),
            (&["loads", "retry", "p.toml", "0a", ""], "`[LOAD]"),
            (&["top", "--admin", ""], "`--admin <HOST:PORT>` is empty: say what is meant, or"),
        ] {
            let error = parse([&["clickmill"], given].concat()).expect_err(told);
            assert_eq!(error.kind(), ErrorKind::ValueValidation, "{given:?}: {error}");
            assert!(error.to_string().contains(told), "{given:?}: {error}");
        }
        // A path that is empty is refused where it is read.
        let error = parse(["clickmill", "loads", "list", "--pipeline", ""]).expect_err("no path");
        assert!(error.use_stderr(), "{error}");
        // Words for people may be none.
        assert!(parse(["clickmill", "plugin", "rollback", "--note", ""]).is_ok());
    }
}
