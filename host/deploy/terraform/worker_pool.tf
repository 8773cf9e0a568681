# The stream as a worker pool of Cloud Run. It has no disk that outlives an instance, so letters are not spooled;
# an instance that is told to end has 10 s, so what is in hand has 4 s, and what is released 5 s.
resource "google_cloud_run_v2_worker_pool" "clicks" {
  count = var.image == null ? 0 : 1

  name                = "clickmill-clicks"
  location            = var.region
  deletion_protection = false

  scaling {
    scaling_mode          = "MANUAL"
    manual_instance_count = var.instances
  }

  template {
    service_account = google_service_account.host.email

    containers {
      image = var.image
      args = [
        "run", "/opt/clickmill/host/pipelines/stream_gcp.toml",
        "--set", "dead_letter.spool=off",
        "--set", "source.max_drain_secs=4",
        "--set", "workers=2",
        "--set", "admin.listen=off",
      ]

      env {
        name  = "GOOGLE_CLOUD_PROJECT"
        value = var.project
      }

      env {
        name = "CLICKMILL_MASK_KEY"

        value_source {
          secret_key_ref {
            secret  = var.mask_key_secret
            version = var.mask_key_version
          }
        }
      }

      resources {
        limits = {
          cpu    = "2"
          memory = "2Gi"
        }
      }
    }
  }

  depends_on = [module.roles, google_secret_manager_secret_iam_member.mask_key]
}

resource "google_secret_manager_secret_iam_member" "mask_key" {
  count = var.image == null ? 0 : 1

  secret_id = var.mask_key_secret
  role      = "roles/secretmanager.secretAccessor"
  member    = "serviceAccount:${google_service_account.host.email}"
}
