variable "project" {
  description = "The project in which all of it is"
  type        = string

  validation {
    condition     = strcontains(file("${path.module}/roles/main.tf"), "\"${var.project}\"")
    error_message = "roles/main.tf is of another project: print it again with clickmill permissions."
  }
}

variable "region" {
  description = "Where the worker pool is"
  type        = string
  default     = "europe-west1"
}

variable "location" {
  description = "Where the dataset is"
  type        = string
  default     = "EU"
}

variable "readers" {
  description = "Who reads the table"
  type        = string
}

variable "image" {
  description = "The image, by its digest; null: no worker pool"
  type        = string
  default     = null

  validation {
    condition     = var.image == null || can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "The image is named by its digest, as in REGISTRY/clickmill@sha256:…"
  }
}

variable "instances" {
  description = "Instances of the worker pool"
  type        = number
  default     = 2
}

variable "mask_key_secret" {
  description = "Secret Manager's name of the key of pseudonyms, of which somebody has made a version"
  type        = string
  default     = "clickmill-mask-key"
}

variable "mask_key_version" {
  description = "The version of that key, by its number: another key makes other pseudonyms"
  type        = string
  default     = "1"

  validation {
    condition     = can(regex("^[1-9][0-9]*$", var.mask_key_version))
    error_message = "The version is a number: an instance that starts would take up whatever is the latest."
  }
}

variable "kubernetes_account" {
  description = "NAMESPACE/NAME of a Kubernetes service account that is the pipeline's; null: none"
  type        = string
  default     = null
}
