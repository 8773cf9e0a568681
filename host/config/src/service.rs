//! The parts of a pipeline file that name Google's services.

use std::collections::BTreeMap;
use std::time::Duration;

use super::problem::{Problem, problem};
use super::{BigQuery, Place, PubSub, raw};

/// The environment variable that names the project where the file does not.
const PROJECT_VARIABLE: &str = "GOOGLE_CLOUD_PROJECT";

/// Checks a subscription.
pub(super) fn pubsub(section: raw::PubSub, problems: &mut Vec<Problem>) -> Option<PubSub> {
    let mut fine =
        resource("source.subscription", &section.subscription, "subscriptions", problems);
    if let Some(topic) = &section.create_from_topic {
        fine &= resource("source.create_from_topic", topic, "topics", problems);
    }
    fine.then(|| PubSub {
        subscription: section.subscription,
        create_from_topic: section.create_from_topic,
        streams: section.streams,
        max_outstanding_messages: section.max_outstanding_messages,
        max_outstanding_bytes: section.max_outstanding_bytes,
        ack_deadline: Duration::from_secs(section.ack_deadline_secs),
        max_lease: Duration::from_secs(section.max_lease_secs),
        max_drain: section.max_drain_secs.map(Duration::from_secs),
    })
}

/// `projects/P/<kind>/NAME`, as Pub/Sub names things.
fn resource(path: &str, name: &str, kind: &str, problems: &mut Vec<Problem>) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    let fine = matches!(parts.as_slice(), ["projects", project, what, last]
        if !project.is_empty() && *what == kind && (3..=255).contains(&last.len()));
    if !fine {
        let message = format!("is `{name}`, wanted `projects/PROJECT/{kind}/NAME`");
        problem(problems, path, message);
    }
    fine
}

/// Checks what keeps the tables.
pub(super) fn place(
    section: &raw::Sink,
    variable: &dyn Fn(&str) -> Option<String>,
    problems: &mut Vec<Problem>,
) -> Option<Place> {
    match section.kind {
        raw::SinkKind::Warehouse => {
            let stray = [
                ("project", section.project.is_some()),
                ("location", section.location.is_some()),
                ("missing_tables", section.missing_tables.is_some()),
                ("exactly_once", section.exactly_once.is_some()),
                ("patience_secs", section.patience_secs.is_some()),
                ("max_bytes_billed", section.max_bytes_billed.is_some()),
            ];
            for (key, _) in stray.into_iter().filter(|(_, given)| *given) {
                let message = "is for `kind = \"bigquery\"` only".to_owned();
                problem(problems, &format!("sink.{key}"), message);
            }
            Some(Place::Warehouse)
        }
        raw::SinkKind::Bigquery => {
            let mut policy_tags = BTreeMap::new();
            for (key, value) in &section.policy_tags {
                match value.as_str() {
                    Some(name) if name.starts_with("projects/") => {
                        policy_tags.insert(key.clone(), name.to_owned());
                    }
                    _ => {
                        let wanted = "projects/P/locations/L/taxonomies/T/policyTags/N";
                        let message = format!("is {value}, wanted `{wanted}`");
                        problem(problems, &format!("sink.policy_tags.{key}"), message);
                    }
                }
            }
            let project = section.project.clone();
            let project = project.or_else(|| variable(PROJECT_VARIABLE));
            let Some(project) = project.filter(|project| is_project(project)) else {
                let message = format!(
                    "is `{}`, wanted the id of a Google Cloud project, here or in the environment variable {PROJECT_VARIABLE}",
                    section.project.as_deref().unwrap_or_default()
                );
                problem(problems, "sink.project", message);
                return None;
            };
            Some(Place::BigQuery(BigQuery {
                project,
                location: section.location.clone(),
                missing_tables: section.missing_tables.unwrap_or_default(),
                exactly_once: section.exactly_once.unwrap_or_default(),
                patience: Duration::from_secs(section.patience_secs.unwrap_or(raw::PATIENCE_SECS)),
                max_bytes_billed: section.max_bytes_billed.unwrap_or(raw::MAX_BYTES_BILLED),
                policy_tags,
            }))
        }
    }
}

/// Checks how long the warehouse keeps rows.
pub(super) fn retention(
    section: &raw::Warehouse,
    place: &Place,
    problems: &mut Vec<Problem>,
) -> Option<u32> {
    let days = section.retention_days?;
    if let Place::BigQuery(_) = place {
        let message = "is for `kind = \"warehouse\"` only; in BigQuery `timePartitioning.expirationMs` of the table's `.table.json` says it".to_owned();
        problem(problems, "warehouse.retention_days", message);
    }
    Some(days)
}

/// A project's id, which becomes part of resource names.
fn is_project(id: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '_');
    !id.is_empty() && id.len() <= 100 && id.chars().all(fine)
}
