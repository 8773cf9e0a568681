# What a stream from Pub/Sub to BigQuery needs: topic, subscription, tables, service account, roles, and a Cloud Run
# worker pool that runs it, or the workload identity of a cluster that does.

terraform {
  required_version = ">= 1.9"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 7.0"
    }
  }
}

provider "google" {
  project = var.project
  region  = var.region
}

locals {
  schemas = "${path.module}/../../../schemas"
  tables  = toset(["audit_log", "clicks_raw", "dead_letter", "dead_letter_attempts", "plugin_sets"])
  table   = { for name in local.tables : name => jsondecode(file("${local.schemas}/${name}.table.json")) }
}

resource "google_pubsub_topic" "clicks" {
  name = "clicks"
}

resource "google_pubsub_subscription" "clicks" {
  name                       = "clickmill-clicks"
  topic                      = google_pubsub_topic.clicks.id
  ack_deadline_seconds       = 60
  message_retention_duration = "604800s"

  expiration_policy {
    ttl = ""
  }
}

resource "google_bigquery_dataset" "clicks" {
  dataset_id = "clickstream_analytics"
  location   = var.location
}

resource "google_bigquery_table" "tables" {
  for_each = local.tables

  dataset_id  = google_bigquery_dataset.clicks.dataset_id
  table_id    = each.key
  description = local.table[each.key].description
  clustering  = local.table[each.key].clustering.fields
  labels      = lookup(local.table[each.key], "labels", {})

  # The policy tags are names of the project's own, which `clickmill tables apply` looks up in `sink.policy_tags`.
  schema = jsonencode([
    for column in jsondecode(file("${local.schemas}/${each.key}.json")) :
    { for key, value in column : key => value if key != "policyTags" }
  ])

  dynamic "time_partitioning" {
    for_each = can(local.table[each.key].timePartitioning) ? [local.table[each.key].timePartitioning] : []

    content {
      type          = time_partitioning.value.type
      field         = time_partitioning.value.field
      expiration_ms = try(tonumber(time_partitioning.value.expirationMs), null)
    }
  }

  deletion_protection = true

  lifecycle {
    # `clickmill tables apply` adds columns and policy tags.
    ignore_changes = [schema]
  }
}

resource "google_service_account" "host" {
  account_id   = "clickmill"
  display_name = "Runs the pipeline clicks-stream"
}

# What `clickmill permissions --format terraform` prints.
module "roles" {
  source = "./roles"

  host    = "serviceAccount:${google_service_account.host.email}"
  readers = var.readers

  depends_on = [google_pubsub_subscription.clicks, google_bigquery_table.tables]
}
