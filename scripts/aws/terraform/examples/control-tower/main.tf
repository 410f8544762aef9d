# AWS Control Tower: one trail of the organization, in the bucket aws-controltower-logs-ACCOUNT-REGION of the account
# Log Archive, below the organization's ID. The lake is in an account of its own, such as one for security tools.

locals {
  # From landing zone 3.0 on, the organization's ID stands twice: the bucket's prefix, and the trail's own.
  prefix = "${var.organization}/AWSLogs/${var.organization}"
}

module "trailmill" {
  source = "../.."

  image              = var.image
  ecr_repository_arn = var.ecr_repository_arn

  source_bucket      = "aws-controltower-logs-${var.log_archive_account}-${var.home_region}"
  source_prefix      = local.prefix
  source_kms_key_arn = var.source_kms_key_arn

  lake_bucket     = var.lake_bucket
  plan_options    = ["--partition-by", "account,region,event_date"]
  partition_index = true

  array_size = 16
  max_vcpus  = 256

  subnet_ids         = var.subnet_ids
  security_group_ids = var.security_group_ids

  alarm_topic_arns = var.alarm_topic_arns
  schedule_enabled = false
}
