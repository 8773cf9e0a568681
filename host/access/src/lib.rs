//! The roles on Google Cloud that a pipeline needs: those of the host, which runs it, and those of
//! readers of its table.
//!
//! A checked pipeline comes in, a list of grants goes out, and [`Listing`], [`Terraform`] and [`Gcloud`]
//! write it down. Pure: no service is asked, so what is granted already is not known here, and nothing is
//! granted. What a grant depends on, say whether a subscription exists yet, is part of it: see [`Condition`].

mod bigquery;
mod gcloud;
mod table;
mod terraform;
mod view;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::{Value as Json, json};

pub use gcloud::Gcloud;
pub use table::Listing;
pub use terraform::Terraform;
pub use view::MaskedView;

use clickmill_config::{Pipeline, Place, PubSub, Source};
use clickmill_core::oci::Reference;

/// What a pipeline needs on Google Cloud.
#[derive(Debug, Clone, PartialEq)]
pub struct Access {
    /// The pipeline's name.
    pub pipeline: String,
    /// The project that it works in, where its file tells.
    pub project: Option<String>,
    /// Roles: the host's, then the readers'.
    pub grants: Vec<Grant>,
    /// The tables without their sensitive columns, of those that have any.
    pub views: Vec<MaskedView>,
    /// What readers are given unless told otherwise.
    pub readers_of: ReaderAccess,
    /// What the pipeline's first run makes, if nobody else has.
    pub host_makes: BTreeMap<Provisioned, Vec<Resource>>,
    /// What whoever grants the roles should know.
    pub notes: Vec<String>,
}

/// A role on a resource.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Grant {
    /// Whose.
    pub who: Principal,
    /// `roles/…`.
    pub role: &'static str,
    /// The smallest resource that will do.
    pub on: Resource,
    /// What it is for.
    pub why: String,
    /// When it is needed, and can be given: all of these hold. Always, where there are none.
    pub when: Vec<Condition>,
}

/// Who needs a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Principal {
    /// The service account that runs the pipeline.
    Host,
    /// Those who query its table.
    Readers,
}

/// What a role is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are the parts of the resource's name")]
pub enum Resource {
    /// A project.
    Project { project: String },
    /// A Pub/Sub subscription.
    Subscription { project: String, subscription: String },
    /// A Pub/Sub topic.
    Topic { project: String, topic: String },
    /// A Cloud Storage bucket.
    Bucket { bucket: String },
    /// A BigQuery dataset, with all tables in it.
    Dataset { project: String, dataset: String },
    /// A BigQuery table.
    Table { project: String, dataset: String, table: String },
    /// A repository of Artifact Registry.
    Repository { project: String, location: String, repository: String },
    /// A policy tag, by its resource name.
    PolicyTag { policy_tag: String },
}

/// What has to hold for a role to be needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// This exists: before, there is nothing to grant the role on.
    Exists(Provisioned),
    /// This does not exist yet: the role lets the host make it, and is to be dropped afterwards.
    Missing(Provisioned),
    /// Readers are given this.
    ReadersOf(ReaderAccess),
    /// Readers are to see the columns that this policy tag guards.
    Opened(String),
}

/// What a first run makes where it is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Provisioned {
    /// The subscription.
    Subscription,
    /// The datasets of the table and of the dead letters.
    Datasets,
    /// The tables and the dead-letter table.
    Tables,
}

/// What readers are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReaderAccess {
    /// The table; policy tags guard its sensitive columns.
    Table,
    /// The view, which has no sensitive columns.
    View,
}

/// Who is granted the roles, as IAM names them: `serviceAccount:…`, `group:…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members {
    /// The host.
    pub host: String,
    /// The readers.
    pub readers: String,
}

/// What a pipeline needs; `warehouse` is where the warehouse is, if the pipeline writes to it.
pub fn needs(pipeline: &Pipeline, warehouse: &str) -> Access {
    let mut access = Access {
        pipeline: pipeline.name.clone(),
        project: None,
        grants: Vec::new(),
        views: Vec::new(),
        readers_of: ReaderAccess::Table,
        host_makes: BTreeMap::new(),
        notes: Vec::new(),
    };
    let keeps = match pipeline.sink.place {
        Place::Warehouse => bucket(warehouse),
        Place::BigQuery(_) => None,
    };
    match &pipeline.source {
        Source::PubSub(source) => pubsub(source, &mut access),
        // The role to write objects lets read them too.
        Source::Storage { uri, .. } if bucket(uri) != keeps => read_objects(uri, &mut access),
        Source::Storage { .. } | Source::Stdin | Source::Generator(_) | Source::Live { .. } => {}
    }
    if let Some(bucket) = keeps {
        keep_objects(bucket, &mut access);
    }
    let of_swaps = |uri: &Option<String>| {
        let bucket = bucket(uri.as_deref()?).filter(|other| Some(*other) != keeps)?;
        Some(Resource::Bucket { bucket: bucket.to_owned() })
    };
    if let Some(on) = of_swaps(&pipeline.swap.state) {
        let why = "keeps plugin sets, and takes them up again";
        access.host("roles/storage.objectUser", on, why, Vec::new());
    }
    if let Some(on) = of_swaps(&pipeline.swap.fleet) {
        let why = "agrees there with the other replicas on one plugin set";
        access.host("roles/storage.objectUser", on, why, Vec::new());
    }
    if let Some(on) = of_swaps(&pipeline.swap.watch) {
        let why = "lists and reads the plugins that it takes up";
        access.host("roles/storage.objectViewer", on, why, Vec::new());
    }
    pull_plugins(pipeline, &mut access);
    if let Place::BigQuery(place) = &pipeline.sink.place {
        bigquery::host(pipeline, place, &mut access);
        bigquery::readers(pipeline, place, &mut access);
    }
    if access.host_makes.contains_key(&Provisioned::Datasets) {
        access.notes.push(
            "A role on a dataset or table can be granted once that exists: `clickmill tables apply`, run by their owner, makes them ahead of the first run."
                .to_owned(),
        );
    }
    access
}

fn pubsub(source: &PubSub, access: &mut Access) {
    let (project, subscription) = parts(&source.subscription);
    access.project = Some(project.clone());
    let on = Resource::Subscription { project: project.clone(), subscription };
    let mut exists = Vec::new();
    if let Some(topic) = &source.create_from_topic {
        access.host_makes.insert(Provisioned::Subscription, vec![on.clone()]);
        exists.push(Condition::Exists(Provisioned::Subscription));
        let missing = vec![Condition::Missing(Provisioned::Subscription)];
        let why = "creates the subscription, as no smaller predefined role can: once that exists, drop the role and `source.create_from_topic`";
        let of_project = Resource::Project { project: project.clone() };
        access.host("roles/pubsub.editor", of_project, why, missing.clone());
        let (topics_project, topic) = parts(topic);
        // Within one project the role above does.
        if topics_project != project {
            let topic = Resource::Topic { project: topics_project, topic };
            let why = "attaches the new subscription to the topic of another project: once that is done, drop the role";
            access.host("roles/pubsub.subscriber", topic, why, missing);
        }
    }
    let why = "pulls messages and acknowledges them";
    access.host("roles/pubsub.subscriber", on.clone(), why, exists.clone());
    let why = "looks whether the subscription is there before a run";
    access.host("roles/pubsub.viewer", on, why, exists);
}

/// Each repository of Artifact Registry once, however many plugins come from it.
fn pull_plugins(pipeline: &Pipeline, access: &mut Access) {
    let mut seen = Vec::new();
    for on in pipeline.plugins.iter().filter_map(|plugin| repository(&plugin.reference()?)) {
        if !seen.contains(&on) {
            let why = "pulls plugins that the cache has not";
            access.host("roles/artifactregistry.reader", on.clone(), why, Vec::new());
            seen.push(on);
        }
    }
}

/// The repository of Artifact Registry that a reference leads to; none of another registry's.
fn repository(reference: &Reference) -> Option<Resource> {
    let (host, mut parts) = (reference.host(), reference.repository().split('/'));
    let project = parts.next()?.to_owned();
    if let Some(location) = host.strip_suffix("-docker.pkg.dev") {
        let (location, repository) = (location.to_owned(), parts.next()?.to_owned());
        return Some(Resource::Repository { project, location, repository });
    }
    // What was Container Registry: repositories of these names.
    let location = match host {
        "gcr.io" | "us.gcr.io" => "us",
        "eu.gcr.io" => "europe",
        "asia.gcr.io" => "asia",
        _ => return None,
    };
    let (location, repository) = (location.to_owned(), host.to_owned());
    Some(Resource::Repository { project, location, repository })
}

fn read_objects(uri: &str, access: &mut Access) {
    if let Some(bucket) = bucket(uri) {
        let on = Resource::Bucket { bucket: bucket.to_owned() };
        let why = "lists and reads the input objects";
        access.host("roles/storage.objectViewer", on, why, Vec::new());
    }
}

fn keep_objects(bucket: &str, access: &mut Access) {
    let on = Resource::Bucket { bucket: bucket.to_owned() };
    let why = "writes the warehouse's files, moves them into place, and reads its ledger";
    access.host("roles/storage.objectUser", on, why, Vec::new());
    access.notes.push(format!(
        "Tables and dead letters, which hold rejected records in the clear, are objects of the bucket `{bucket}`: a role on it opens both, so readers are given none."
    ));
}

impl Access {
    /// As JSON: the grants with all that decides about them, the view, the notes.
    pub fn json(&self, members: &Members) -> Json {
        let views = self.views.iter().map(|view| {
            json!({
                "of": view.of.to_string(), "name": view.name.to_string(),
                "without": view.without, "sql": view.create(),
            })
        });
        let views: Vec<Json> = views.collect();
        json!({
            "pipeline": self.pipeline, "host": members.host, "readers": members.readers,
            "grants": self.grants, "view": views.first(), "views": views, "readers_of": self.readers_of, "notes": self.notes,
        })
    }

    fn host(&mut self, role: &'static str, on: Resource, why: &str, when: Vec<Condition>) {
        self.grants.push(Grant { who: Principal::Host, role, on, why: why.to_owned(), when });
    }

    fn readers(&mut self, role: &'static str, on: Resource, why: String, when: Vec<Condition>) {
        self.grants.push(Grant { who: Principal::Readers, role, on, why, when });
    }

    /// Grants of one of the two.
    fn of(&self, who: Principal) -> impl Iterator<Item = &Grant> {
        self.grants.iter().filter(move |grant| grant.who == who)
    }
}

impl Provisioned {
    /// The variable that says whether it exists, in Terraform and in the shell.
    fn variable(self) -> &'static str {
        match self {
            Self::Subscription => "subscription_exists",
            Self::Datasets => "datasets_exist",
            Self::Tables => "tables_exist",
        }
    }
}

impl fmt::Display for ReaderAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Table => "table",
            Self::View => "view",
        })
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project { project } => write!(f, "project {project}"),
            Self::Subscription { project, subscription } => {
                write!(f, "projects/{project}/subscriptions/{subscription}")
            }
            Self::Topic { project, topic } => write!(f, "projects/{project}/topics/{topic}"),
            Self::Bucket { bucket } => write!(f, "bucket {bucket}"),
            Self::Dataset { project, dataset } => write!(f, "dataset {project}.{dataset}"),
            Self::Table { project, dataset, table } => {
                write!(f, "table {project}.{dataset}.{table}")
            }
            Self::Repository { project, location, repository } => {
                write!(f, "projects/{project}/locations/{location}/repositories/{repository}")
            }
            Self::PolicyTag { policy_tag } => write!(f, "{policy_tag}"),
        }
    }
}

/// The bucket of a `gs://` URI; a path has none.
fn bucket(uri: &str) -> Option<&str> {
    uri.strip_prefix("gs://")?.split('/').next()
}

/// Project and name of `projects/P/…/NAME`.
fn parts(name: &str) -> (String, String) {
    let mut parts = name.split('/');
    let project = parts.nth(1).unwrap_or_default();
    (project.to_owned(), parts.next_back().unwrap_or_default().to_owned())
}

/// Text for a comment, which ends with its line.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// The text that stands for all grants where there are none.
fn nothing(access: &Access) -> String {
    format!("Pipeline `{}` needs nothing on Google Cloud.", access.pipeline)
}
