variable "image" {
  description = "What `scripts/image --push` printed."
  type        = string
}

variable "ecr_repository_arn" {
  description = "The image's repository."
  type        = string
}

variable "organization" {
  description = "ID of the organization, o-…, which is part of the keys of its trail."
  type        = string
}

variable "source_bucket" {
  description = "Bucket of the organization's trail."
  type        = string
}

variable "source_kms_key_arn" {
  description = "The key that the trail encrypts with."
  type        = string
}

variable "lake_bucket" {
  description = "Bucket of the lake, which is made."
  type        = string
}

variable "lake_kms_key_arn" {
  description = "The key that the lake is encrypted with."
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
