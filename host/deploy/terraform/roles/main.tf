# What pipeline `clicks-stream` needs on Google Cloud.
# A module of its own: another pipeline, another folder.

terraform {
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 5.5"
    }
  }
}

variable "host" {
  description = "Who runs the pipeline"
  type        = string
  default     = "serviceAccount:clickmill@my-project.iam.gserviceaccount.com"
}

variable "readers" {
  description = "Who reads its table"
  type        = string
  default     = "group:clickstream-readers@example.com"
}

variable "subscription_exists" {
  description = "Whether the subscription is there; false ahead of the run that creates it"
  type        = bool
  default     = true
}

variable "datasets_exist" {
  description = "Whether the datasets are there; false ahead of the run that creates them"
  type        = bool
  default     = true
}

variable "tables_exist" {
  description = "Whether the tables are there; false ahead of the run that creates them"
  type        = bool
  default     = true
}

variable "readers_of" {
  description = "What readers are given: the table, or the view without its sensitive columns"
  type        = string
  default     = "view"

  validation {
    condition     = contains(["table", "view"], var.readers_of)
    error_message = "Readers are given the \"table\" or the \"view\"."
  }
}

# creates the subscription, as no smaller predefined role can: once that exists, drop the role and `source.create_from_topic`
resource "google_project_iam_member" "host_editor_my_project" {
  count = !var.subscription_exists ? 1 : 0

  project = "my-project"
  role    = "roles/pubsub.editor"
  member  = var.host
}

# pulls messages and acknowledges them
resource "google_pubsub_subscription_iam_member" "host_subscriber_clickmill_clicks" {
  count = var.subscription_exists ? 1 : 0

  project      = "my-project"
  subscription = "clickmill-clicks"
  role         = "roles/pubsub.subscriber"
  member       = var.host
}

# looks whether the subscription is there before a run
resource "google_pubsub_subscription_iam_member" "host_viewer_clickmill_clicks" {
  count = var.subscription_exists ? 1 : 0

  project      = "my-project"
  subscription = "clickmill-clicks"
  role         = "roles/pubsub.viewer"
  member       = var.host
}

# creates the dataset, which makes the host its owner: once it exists, drop the role
resource "google_project_iam_member" "host_user_my_project" {
  count = !var.datasets_exist ? 1 : 0

  project = "my-project"
  role    = "roles/bigquery.user"
  member  = var.host
}

# creates missing tables, looks at their columns and writes rows, dead letters, plugin sets, the audit log and attempts to replay
resource "google_bigquery_dataset_access" "host_data_editor_clickstream_analytics" {
  count = var.datasets_exist ? 1 : 0

  project    = "my-project"
  dataset_id = "clickstream_analytics"
  role       = "roles/bigquery.dataEditor"
  iam_member = var.host
}

# asks whether a plugin set or an audit entry is there; `clickmill tables apply` adds columns and creates views
resource "google_project_iam_member" "host_job_user_my_project" {
  project = "my-project"
  role    = "roles/bigquery.jobUser"
  member  = var.host
}

# runs queries
resource "google_project_iam_member" "readers_job_user_my_project" {
  project = "my-project"
  role    = "roles/bigquery.jobUser"
  member  = var.readers
}

# reads the table, but for columns under a policy tag
resource "google_bigquery_table_iam_member" "readers_data_viewer_clicks_raw" {
  count = var.tables_exist && var.readers_of == "table" ? 1 : 0

  project    = "my-project"
  dataset_id = "clickstream_analytics"
  table_id   = "clicks_raw"
  role       = "roles/bigquery.dataViewer"
  member     = var.readers
}

# reads the view `clickstream_analytics_masked.clicks_raw`, which leaves out user_id and ip
resource "google_bigquery_dataset_access" "readers_data_viewer_clickstream_analytics_masked" {
  count = var.tables_exist && var.readers_of == "view" ? 1 : 0

  project    = "my-project"
  dataset_id = "clickstream_analytics_masked"
  role       = "roles/bigquery.dataViewer"
  iam_member = var.readers

  depends_on = [google_bigquery_dataset.masked]
}

# No policy tag guards user_id and ip (`sink.policy_tags` does not name `network` and `pseudonym`): whoever is given `clickstream_analytics.clicks_raw` reads them, so readers are given the view unless you say otherwise.

# `clickstream_analytics.dead_letter` holds rejected records as they came, in the clear, in the same dataset as `clickstream_analytics.clicks_raw`: a role on the dataset would open it, so readers are given the table or the view alone.

# A role on a dataset or table can be granted once that exists: `clickmill tables apply`, run by their owner, makes them ahead of the first run.

# The view lies where the table does: a query can't reach over locations.
data "google_bigquery_dataset" "source" {
  count = var.tables_exist && var.readers_of == "view" ? 1 : 0

  project    = "my-project"
  dataset_id = "clickstream_analytics"
}

resource "google_bigquery_dataset" "masked" {
  count = var.tables_exist && var.readers_of == "view" ? 1 : 0

  project    = "my-project"
  dataset_id = "clickstream_analytics_masked"
  location   = data.google_bigquery_dataset.source[0].location
}

# The table without its sensitive columns.
resource "google_bigquery_table" "masked" {
  count = var.tables_exist && var.readers_of == "view" ? 1 : 0

  project             = "my-project"
  dataset_id          = google_bigquery_dataset.masked[0].dataset_id
  table_id            = "clicks_raw"
  deletion_protection = false

  view {
    use_legacy_sql = false
    query          = <<-SQL
      SELECT
        `event_id`,
        `event_timestamp`,
        `event_date`,
        `session_id`,
        `event_type`,
        `url`,
        `page_category`,
        `referrer`,
        `user_agent`,
        `device`,
        `browser`,
        `os`,
        `is_bot`,
        `country`,
        `product_id`,
        `category`,
        `price`,
        `quantity`,
        `currency`,
        `status_code`,
        `error_message`,
        `response_time_ms`,
        `unknown_fields`,
        `source`,
        `source_line`,
        `plugin_set`,
        `ingested_at`,
        `message_id`,
        `publish_time`,
        `record_index`
      FROM `my-project`.`clickstream_analytics`.`clicks_raw`
    SQL
  }
}

# The view, rather than its readers, may read the table.
resource "google_bigquery_dataset_access" "masked" {
  count = var.tables_exist && var.readers_of == "view" ? 1 : 0

  project    = "my-project"
  dataset_id = "clickstream_analytics"

  view {
    project_id = google_bigquery_table.masked[0].project
    dataset_id = google_bigquery_table.masked[0].dataset_id
    table_id   = google_bigquery_table.masked[0].table_id
  }
}
