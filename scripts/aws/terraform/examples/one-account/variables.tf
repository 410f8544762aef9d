variable "image" {
  description = "What `scripts/image --push` printed."
  type        = string
}

variable "account" {
  description = "The account whose logs are converted."
  type        = string
}

variable "source_bucket" {
  description = "Bucket of the trail."
  type        = string
}

variable "lake_bucket" {
  description = "Bucket of the lake, which is made."
  type        = string
}

variable "results_bucket" {
  description = "Bucket for results of Athena."
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
