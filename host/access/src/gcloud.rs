//! Grants as a shell script: `gcloud`, and `bq` where that has no command. It looks what exists, and can
//! be run again.

use std::fmt;

use super::{
    Access, Condition, Grant, MaskedView, Members, Principal, Resource, nothing, one_line,
};

/// The script.
#[derive(Debug)]
pub struct Gcloud<'a>(pub &'a Access, pub &'a Members);

impl fmt::Display for Gcloud<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(access, members) = self;
        writeln!(f, "#!/usr/bin/env bash")?;
        if access.grants.is_empty() {
            return writeln!(f, "# {}", nothing(access));
        }
        writeln!(f, "# What pipeline `{}` needs on Google Cloud.", access.pipeline)?;
        f.write_str(HEAD)?;
        settings(f, access, members)?;
        for grant in access.of(Principal::Host) {
            write_grant(f, grant)?;
        }
        for view in &access.views {
            write_view(f, view)?;
        }
        for grant in access.of(Principal::Readers) {
            write_grant(f, grant)?;
        }
        for note in &access.notes {
            writeln!(f, "\n# {}", one_line(note))?;
        }
        Ok(())
    }
}

const HEAD: &str = r#"# Run it as somebody who may grant roles; it wants gcloud, bq and jq. It looks what exists and grants
# what there is to grant, so run it again after the pipeline's first run.
set -euo pipefail

"#;

fn settings(f: &mut fmt::Formatter<'_>, access: &Access, members: &Members) -> fmt::Result {
    writeln!(f, "host={}", quoted(&members.host))?;
    if access.of(Principal::Readers).next().is_some() {
        writeln!(f, "readers={}", quoted(&members.readers))?;
    }
    if !access.views.is_empty() {
        writeln!(
            f,
            "# What readers are given: the table, or the view without its sensitive columns."
        )?;
        writeln!(f, "readers_of=${{READERS_OF:-{}}}", access.readers_of)?;
    }
    let mut whens = access.grants.iter().flat_map(|grant| &grant.when);
    if whens.any(|when| matches!(when, Condition::Opened(_))) {
        writeln!(
            f,
            "# Policy tags whose columns readers of the table may see: names in `sink.policy_tags`."
        )?;
        writeln!(f, "open_tags=${{OPEN_TAGS:-}}")?;
    }
    let on_dataset = |grant: &Grant| matches!(grant.on, Resource::Dataset { .. });
    if access.grants.iter().any(on_dataset) {
        f.write_str(ON_DATASETS)?;
    }
    if access.host_makes.is_empty() {
        return Ok(());
    }
    f.write_str("\nexists() { \"$@\" >/dev/null 2>&1 && echo true || echo false; }\n")?;
    for (thing, resources) in &access.host_makes {
        let name = thing.variable();
        for (at, resource) in resources.iter().enumerate() {
            // Of several, each has to exist.
            let and = if at == 0 { String::new() } else { format!("[[ ${name} == false ]] || ") };
            writeln!(f, "{and}{name}=$(exists {})", look(resource))?;
        }
    }
    Ok(())
}

const ON_DATASETS: &str = r#"
location_of() { bq show --format=json "$1" | jq -r .location; }
# SQL in the location of a dataset: project, dataset, SQL.
sql() { bq --project_id="$1" --location="$(location_of "$1:$2")" query --use_legacy_sql=false "$3"; }
"#;

/// What finds a resource, or fails.
fn look(on: &Resource) -> String {
    match on {
        Resource::Subscription { project, subscription } => format!(
            "gcloud pubsub subscriptions describe {} --project={}",
            quoted(subscription),
            quoted(project)
        ),
        Resource::Dataset { project, dataset } => {
            format!("bq show --dataset {}", quoted(&format!("{project}:{dataset}")))
        }
        Resource::Table { project, dataset, table } => {
            format!("bq show --table {}", quoted(&format!("{project}:{dataset}.{table}")))
        }
        // The host makes none of the others.
        Resource::Project { .. }
        | Resource::Topic { .. }
        | Resource::Bucket { .. }
        | Resource::Repository { .. }
        | Resource::PolicyTag { .. } => "true".to_owned(),
    }
}

fn write_grant(f: &mut fmt::Formatter<'_>, grant: &Grant) -> fmt::Result {
    writeln!(f, "\n# {}", one_line(&grant.why))?;
    if grant.when.iter().any(|when| matches!(when, Condition::Missing(_))) {
        writeln!(f, "# This drops it: {}", one_line(&command(grant, Change::Drop)))?;
    }
    let grants = command(grant, Change::Add);
    match condition(&grant.when) {
        Some(condition) => writeln!(f, "if {condition}; then\n  {grants}\nfi"),
        None => writeln!(f, "{grants}"),
    }
}

#[derive(Clone, Copy)]
enum Change {
    Add,
    Drop,
}

fn command(grant: &Grant, change: Change) -> String {
    let role = grant.role;
    let member = match grant.who {
        Principal::Host => "$host",
        Principal::Readers => "$readers",
    };
    let (binding, dcl, to) = match change {
        Change::Add => ("add-iam-policy-binding", "GRANT", "TO"),
        Change::Drop => ("remove-iam-policy-binding", "REVOKE", "FROM"),
    };
    let who = format!("--member=\"{member}\" --role={role}");
    match &grant.on {
        // Asked for a condition, where the project's policy has any.
        Resource::Project { project } => {
            format!("gcloud projects {binding} {} {who} --condition=None", quoted(project))
        }
        Resource::Subscription { project, subscription } => format!(
            "gcloud pubsub subscriptions {binding} {} --project={} {who}",
            quoted(subscription),
            quoted(project)
        ),
        Resource::Topic { project, topic } => format!(
            "gcloud pubsub topics {binding} {} --project={} {who}",
            quoted(topic),
            quoted(project)
        ),
        Resource::Bucket { bucket } => {
            format!("gcloud storage buckets {binding} {} {who}", quoted(&format!("gs://{bucket}")))
        }
        // `bq` has bindings for tables only.
        Resource::Dataset { project, dataset } => {
            let (project, dataset) = (quoted(project), quoted(dataset));
            format!(
                r#"sql {project} {dataset} "{dcl} \`{role}\` ON SCHEMA \`{project}\`.\`{dataset}\` {to} \"{member}\"""#
            )
        }
        Resource::Table { project, dataset, table } => {
            format!(
                "bq {binding} {who} --table=true {}",
                quoted(&format!("{project}:{dataset}.{table}"))
            )
        }
        Resource::Repository { project, location, repository } => format!(
            "gcloud artifacts repositories {binding} {} --location={} --project={} {who}",
            quoted(repository),
            quoted(location),
            quoted(project)
        ),
        Resource::PolicyTag { policy_tag } => format!(
            "gcloud data-catalog taxonomies policy-tags {binding} {} {who}",
            quoted(policy_tag)
        ),
    }
}

/// Makes the view and authorises it, by the steps of
/// <https://cloud.google.com/bigquery/docs/authorized-views>.
fn write_view(f: &mut fmt::Formatter<'_>, view: &MaskedView) -> fmt::Result {
    let of = quoted(&format!("{}:{}", view.project, view.of.dataset));
    let masked = quoted(&format!("{}:{}", view.project, view.name.dataset));
    let project = quoted(&view.project);
    let entry = serde_json::json!({
        "projectId": view.project, "datasetId": view.name.dataset, "tableId": view.name.table,
    });
    writeln!(f, "\n# The table without its sensitive columns.")?;
    let margin = match condition(&view.when) {
        Some(condition) => {
            writeln!(f, "if {condition}; then")?;
            "  "
        }
        None => "",
    };
    let bq = "bq --location=\"$location\"";
    writeln!(f, "{margin}location=$(location_of {of})")?;
    writeln!(f, "{margin}{bq} mk --force --dataset {masked}")?;
    writeln!(f, "{margin}{bq} --project_id={project} query --use_legacy_sql=false <<'SQL'")?;
    writeln!(f, "{}\nSQL", view.create())?;
    writeln!(f, "{margin}# The view, rather than its readers, may read the table.")?;
    writeln!(f, "{margin}access=$(mktemp)")?;
    writeln!(f, "{margin}bq show --format=prettyjson {of} |")?;
    writeln!(f, "{margin}  jq --argjson view {} \\", quoted(&entry.to_string()))?;
    writeln!(f, "{margin}    '{AUTHORISED}' >\"$access\"")?;
    writeln!(f, "{margin}bq update --source \"$access\" {of}")?;
    writeln!(f, "{margin}rm \"$access\"")?;
    if margin.is_empty() { Ok(()) } else { writeln!(f, "fi") }
}

/// What `jq` makes of a dataset: the view is in its access list, once.
const AUTHORISED: &str = ".access = [.access[] | select(.view != $view)] + [{view: $view}]";

/// The test that all of `when` holds.
fn condition(when: &[Condition]) -> Option<String> {
    let tests: Vec<String> = when.iter().map(test).collect();
    if tests.is_empty() { None } else { Some(format!("[[ {} ]]", tests.join(" && "))) }
}

fn test(when: &Condition) -> String {
    match when {
        Condition::Exists(thing) => format!("${} == true", thing.variable()),
        Condition::Missing(thing) => format!("${} == false", thing.variable()),
        Condition::ReadersOf(way) => format!("$readers_of == {way}"),
        Condition::Opened(tag) => format!("\" $open_tags \" == *{}*", quoted(&format!(" {tag} "))),
    }
}

/// A word of the shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
