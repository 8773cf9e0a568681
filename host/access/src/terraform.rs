//! Grants as Terraform: a resource per grant, which adds a member and leaves all others alone.

use std::fmt;

use super::{
    Access, Condition, Grant, MaskedView, Members, Principal, Provisioned, Resource, nothing,
    one_line,
};

/// A module of its own: variables, grants, the view.
#[derive(Debug)]
pub struct Terraform<'a>(pub &'a Access, pub &'a Members);

impl fmt::Display for Terraform<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(access, members) = self;
        if access.grants.is_empty() {
            return writeln!(f, "# {}", nothing(access));
        }
        writeln!(f, "# What pipeline `{}` needs on Google Cloud.", access.pipeline)?;
        f.write_str(PROVIDER)?;
        variables(f, access, members)?;
        let mut labels = Vec::new();
        for grant in &access.grants {
            write_grant(f, grant, &access.views, &label(grant, &mut labels))?;
        }
        for note in &access.notes {
            writeln!(f, "\n# {}", one_line(note))?;
        }
        for number in 0..access.views.len() {
            write_view(f, &access.views, number)?;
        }
        Ok(())
    }
}

// The data source of datasets is as old as that version.
const PROVIDER: &str = r#"# A module of its own: another pipeline, another folder.

terraform {
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 5.5"
    }
  }
}
"#;

fn variables(f: &mut fmt::Formatter<'_>, access: &Access, members: &Members) -> fmt::Result {
    let mut variable = |name: &str, kind: &str, default: &str, description: &str, more: &str| {
        writeln!(
            f,
            "\nvariable \"{name}\" {{\n  description = {}\n  type        = {kind}\n  default     = {default}\n{more}}}",
            text(description)
        )
    };
    variable("host", "string", &text(&members.host), "Who runs the pipeline", "")?;
    if access.of(Principal::Readers).next().is_some() {
        variable("readers", "string", &text(&members.readers), "Who reads its table", "")?;
    }
    for thing in access.host_makes.keys() {
        let description = match thing {
            Provisioned::Subscription => {
                "Whether the subscription is there; false ahead of the run that creates it"
            }
            Provisioned::Datasets => {
                "Whether the datasets are there; false ahead of the run that creates them"
            }
            Provisioned::Tables => {
                "Whether the tables are there; false ahead of the run that creates them"
            }
        };
        variable(thing.variable(), "bool", "true", description, "")?;
    }
    if !access.views.is_empty() {
        let description =
            "What readers are given: the table, or the view without its sensitive columns";
        let default = text(&access.readers_of.to_string());
        variable("readers_of", "string", &default, description, ONE_OF_TWO)?;
    }
    let opened = access.grants.iter().flat_map(|grant| &grant.when);
    if opened.into_iter().any(|when| matches!(when, Condition::Opened(_))) {
        let description = "Policy tags whose columns readers of the table may see, by their names in `sink.policy_tags`";
        variable("open_tags", "list(string)", "[]", description, "")?;
    }
    Ok(())
}

const ONE_OF_TWO: &str = r#"
  validation {
    condition     = contains(["table", "view"], var.readers_of)
    error_message = "Readers are given the \"table\" or the \"view\"."
  }
"#;

fn write_grant(
    f: &mut fmt::Formatter<'_>,
    grant: &Grant,
    views: &[MaskedView],
    label: &str,
) -> fmt::Result {
    let (kind, mut arguments) = kind(&grant.on);
    let member = match grant.who {
        Principal::Host => "var.host",
        Principal::Readers => "var.readers",
    };
    arguments.push(("role", text(grant.role)));
    // A dataset's own `_iam_member` takes the rights of authorised views away, says its documentation.
    let of_dataset = matches!(grant.on, Resource::Dataset { .. });
    arguments.push((if of_dataset { "iam_member" } else { "member" }, member.to_owned()));
    writeln!(f, "\n# {}", one_line(&grant.why))?;
    begin(f, "resource", kind, label, &grant.when)?;
    aligned(f, "  ", &arguments)?;
    let of_view = |view: &MaskedView| matches!(&grant.on, Resource::Dataset { dataset, .. } if *dataset == view.name.dataset);
    if let Some(number) = views.iter().position(of_view) {
        let masked = numbered("masked", number);
        writeln!(f, "\n  depends_on = [google_bigquery_dataset.{masked}]")?;
    }
    writeln!(f, "}}")
}

/// The resource that grants a role on this, and the arguments that name it.
fn kind(on: &Resource) -> (&'static str, Vec<(&'static str, String)>) {
    match on {
        Resource::Project { project } => {
            ("google_project_iam_member", vec![("project", text(project))])
        }
        Resource::Subscription { project, subscription } => (
            "google_pubsub_subscription_iam_member",
            vec![("project", text(project)), ("subscription", text(subscription))],
        ),
        Resource::Topic { project, topic } => (
            "google_pubsub_topic_iam_member",
            vec![("project", text(project)), ("topic", text(topic))],
        ),
        Resource::Bucket { bucket } => {
            ("google_storage_bucket_iam_member", vec![("bucket", text(bucket))])
        }
        Resource::Dataset { project, dataset } => (
            "google_bigquery_dataset_access",
            vec![("project", text(project)), ("dataset_id", text(dataset))],
        ),
        Resource::Table { project, dataset, table } => (
            "google_bigquery_table_iam_member",
            vec![
                ("project", text(project)),
                ("dataset_id", text(dataset)),
                ("table_id", text(table)),
            ],
        ),
        Resource::Repository { project, location, repository } => (
            "google_artifact_registry_repository_iam_member",
            vec![
                ("project", text(project)),
                ("location", text(location)),
                ("repository", text(repository)),
            ],
        ),
        Resource::PolicyTag { policy_tag } => {
            ("google_data_catalog_policy_tag_iam_member", vec![("policy_tag", text(policy_tag))])
        }
    }
}

/// A view, and before the first of a dataset that dataset.
fn write_view(f: &mut fmt::Formatter<'_>, views: &[MaskedView], number: usize) -> fmt::Result {
    let view = &views[number];
    let project = ("project", text(&view.project));
    let source = ("dataset_id", text(&view.of.dataset));
    let same = |other: &MaskedView| other.name.dataset == view.name.dataset;
    let first = views.iter().position(same).unwrap_or(number);
    let (of_source, of_dataset) = (numbered("source", first), numbered("masked", first));
    let masked = numbered("masked", number);

    if first == number {
        writeln!(f, "\n# The view lies where the table does: a query can't reach over locations.")?;
        begin(f, "data", "google_bigquery_dataset", &of_source, &view.when)?;
        aligned(f, "  ", &[project.clone(), source.clone()])?;
        writeln!(f, "}}\n")?;

        begin(f, "resource", "google_bigquery_dataset", &of_dataset, &view.when)?;
        let location = format!("data.google_bigquery_dataset.{of_source}[0].location");
        let dataset = ("dataset_id", text(&view.name.dataset));
        aligned(f, "  ", &[project.clone(), dataset, ("location", location)])?;
        writeln!(f, "}}")?;
    }

    writeln!(f, "\n# The table without its sensitive columns.")?;
    begin(f, "resource", "google_bigquery_table", &masked, &view.when)?;
    let dataset = format!("google_bigquery_dataset.{of_dataset}[0].dataset_id");
    let arguments = [
        project.clone(),
        ("dataset_id", dataset),
        ("table_id", text(&view.name.table)),
        ("deletion_protection", "false".to_owned()),
    ];
    aligned(f, "  ", &arguments)?;
    writeln!(f, "\n  view {{\n    use_legacy_sql = false\n    query          = <<-SQL")?;
    for line in view.query().lines() {
        writeln!(f, "      {}", without_templates(line))?;
    }
    writeln!(f, "    SQL\n  }}\n}}\n")?;

    writeln!(f, "# The view, rather than its readers, may read the table.")?;
    begin(f, "resource", "google_bigquery_dataset_access", &masked, &view.when)?;
    aligned(f, "  ", &[project, source])?;
    writeln!(f, "\n  view {{")?;
    let of_view = |part: &str| format!("google_bigquery_table.{masked}[0].{part}");
    let view = ["project", "dataset_id", "table_id"].map(of_view);
    let [project, dataset, table] = view;
    aligned(f, "    ", &[("project_id", project), ("dataset_id", dataset), ("table_id", table)])?;
    writeln!(f, "  }}\n}}")
}

/// The name of a block, numbered from the second on.
fn numbered(name: &str, number: usize) -> String {
    if number == 0 { name.to_owned() } else { format!("{name}_{}", number + 1) }
}

/// The head of a block, which is there where all of `when` holds.
fn begin(
    f: &mut fmt::Formatter<'_>,
    block: &str,
    kind: &str,
    label: &str,
    when: &[Condition],
) -> fmt::Result {
    writeln!(f, "{block} \"{kind}\" \"{label}\" {{")?;
    let conditions: Vec<String> = when.iter().map(condition).collect();
    if conditions.is_empty() {
        Ok(())
    } else {
        writeln!(f, "  count = {} ? 1 : 0\n", conditions.join(" && "))
    }
}

fn condition(when: &Condition) -> String {
    match when {
        Condition::Exists(thing) => format!("var.{}", thing.variable()),
        Condition::Missing(thing) => format!("!var.{}", thing.variable()),
        Condition::ReadersOf(way) => format!("var.readers_of == \"{way}\""),
        Condition::Opened(tag) => format!("contains(var.open_tags, {})", text(tag)),
    }
}

/// Arguments with their equal signs below each other, as `terraform fmt` has them.
fn aligned(f: &mut fmt::Formatter<'_>, margin: &str, arguments: &[(&str, String)]) -> fmt::Result {
    let width = arguments.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, value) in arguments {
        writeln!(f, "{margin}{name:width$} = {value}")?;
    }
    Ok(())
}

/// A name for a grant's resource: whose, which role, on what; numbered where that is not enough.
fn label(grant: &Grant, labels: &mut Vec<String>) -> String {
    let who = match grant.who {
        Principal::Host => "host",
        Principal::Readers => "readers",
    };
    let role = grant.role.rsplit('.').next().unwrap_or_default();
    let on = grant.on.to_string();
    let on = on.rsplit(['/', '.', ' ']).next().unwrap_or_default();
    let mut label = who.to_owned();
    for word in [role, on] {
        label.push('_');
        for c in word.chars() {
            match c {
                'A'..='Z' => label.extend(['_', c.to_ascii_lowercase()]),
                'a'..='z' | '0'..='9' => label.push(c),
                _ => label.push('_'),
            }
        }
    }
    labels.push(label.clone());
    match labels.iter().filter(|other| **other == label).count() {
        1 => label,
        count => format!("{label}_{count}"),
    }
}

/// Text as a string of the language: its escapes are JSON's, but for what begins a template.
fn text(value: &str) -> String {
    without_templates(&serde_json::Value::from(value).to_string())
}

fn without_templates(value: &str) -> String {
    value.replace("${", "$${").replace("%{", "%%{")
}
