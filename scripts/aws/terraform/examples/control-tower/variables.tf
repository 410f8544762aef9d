variable "image" {
  description = "What `scripts/image --push` printed."
  type        = string
}

variable "ecr_repository_arn" {
  description = "The image's repository."
  type        = string
}

variable "organization" {
  description = "ID of the organization, o-…"
  type        = string
}

variable "log_archive_account" {
  description = "The account Log Archive."
  type        = string
}

variable "home_region" {
  description = "The home region of the landing zone."
  type        = string
}

variable "source_kms_key_arn" {
  description = "The key of the landing zone, if it was given one; empty: none."
  type        = string
  default     = ""
}

variable "lake_bucket" {
  description = "Bucket of the lake, which is made."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets of the jobs."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Security groups of the jobs."
  type        = list(string)
}

variable "alarm_topic_arns" {
  description = "SNS topics that alarms tell."
  type        = list(string)
  default     = []
}
