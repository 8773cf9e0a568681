# The pods of a cluster are the pipeline's service account, without a key.
resource "google_service_account_iam_member" "kubernetes" {
  count = var.kubernetes_account == null ? 0 : 1

  service_account_id = google_service_account.host.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${var.project}.svc.id.goog[${var.kubernetes_account}]"
}
