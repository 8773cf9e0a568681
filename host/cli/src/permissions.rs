//! `clickmill permissions`: the roles a pipeline needs on Google Cloud.

use clap::{Args, ValueEnum};

use super::pipeline_args::PipelineArgs;
use super::{Failure, print};
use clickmill_access as access;
use clickmill_access::{Gcloud, Listing, Members, Terraform};

const EXAMPLES: &str = "\
Examples:
  clickmill permissions host/pipelines/stream_gcp.toml
  clickmill permissions host/pipelines/stream_gcp.toml \\
      --format terraform > permissions.tf
  clickmill permissions host/pipelines/batch_gcp.toml \\
      --readers group:bi@shop.example
  clickmill permissions host/pipelines/batch_gcp.toml --format gcloud | bash

Grants nothing and asks no service. Reading the pipeline file wants the environment variables that it names.";

/// Kinds of members that IAM knows. `allUsers` is not among them: a table for everybody is no one's wish.
const MEMBERS: [&str; 6] =
    ["serviceAccount", "group", "user", "domain", "principal", "principalSet"];

/// Lists the roles a pipeline needs on Google Cloud, for the host and for readers
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Permissions {
    #[command(flatten)]
    pipeline: PipelineArgs,

    /// Who runs the pipeline [default: serviceAccount:clickmill@PROJECT.iam.gserviceaccount.com]
    #[arg(long, value_name = "MEMBER", value_parser = member)]
    member: Option<String>,

    /// Who reads its table
    #[arg(
        long,
        value_name = "MEMBER",
        value_parser = member,
        default_value = "group:clickstream-readers@example.com"
    )]
    readers: String,

    /// How to print the roles: to read, to apply, or as a script of gcloud and bq commands to run
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,

    /// Print them as JSON
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Table,
    Terraform,
    Gcloud,
}

impl Permissions {
    pub(crate) fn run(self, warehouse: &str) -> Result<(), Failure> {
        let pipeline = self.pipeline.read()?;
        let access = access::needs(&pipeline, warehouse);
        let host = self.member.unwrap_or_else(|| {
            let project = access.project.clone();
            let project = project.or_else(|| std::env::var("GOOGLE_CLOUD_PROJECT").ok());
            let project = project.unwrap_or_else(|| "PROJECT".to_owned());
            format!("serviceAccount:clickmill@{project}.iam.gserviceaccount.com")
        });
        let members = Members { host, readers: self.readers };
        let text = match (self.json, self.format) {
            (true, _) => format!("{:#}\n", access.json(&members)),
            (false, Format::Table) => Listing(&access, &members).to_string(),
            (false, Format::Terraform) => Terraform(&access, &members).to_string(),
            (false, Format::Gcloud) => Gcloud(&access, &members).to_string(),
        };
        Ok(print::data(&text)?)
    }
}

/// A member, as IAM names it.
fn member(text: &str) -> Result<String, String> {
    match text.split_once(':') {
        Some((kind, name)) if MEMBERS.contains(&kind) && !name.is_empty() => Ok(text.to_owned()),
        _ => Err(format!("wanted KIND:NAME, the kind one of {}", MEMBERS.join(", "))),
    }
}
