# An organization's trail: its bucket and key are in the management account or in one for logs, the lake is here.
# Give the outputs to whoever keeps the policies of bucket and key.

module "trailmill" {
  source = "../.."

  image              = var.image
  ecr_repository_arn = var.ecr_repository_arn

  source_bucket      = var.source_bucket
  source_prefix      = "AWSLogs/${var.organization}"
  source_kms_key_arn = var.source_kms_key_arn

  lake_bucket      = var.lake_bucket
  lake_kms_key_arn = var.lake_kms_key_arn
  plan_options     = ["--partition-by", "account,region,event_date"]
  partition_index  = true

  array_size = 16
  max_vcpus  = 256

  subnet_ids         = var.subnet_ids
  security_group_ids = var.security_group_ids

  lake_formation   = true
  alarm_topic_arns = var.alarm_topic_arns
  schedule_enabled = false
}
