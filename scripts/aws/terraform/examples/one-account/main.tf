# Trail, logs and lake in one account and region.

module "repository" {
  source = "../../modules/repository"
}

module "trailmill" {
  source = "../.."

  image              = var.image
  ecr_repository_arn = module.repository.repository_arn

  source_bucket = var.source_bucket
  source_prefix = "AWSLogs/${var.account}"
  lake_bucket   = var.lake_bucket

  # A third of the price per GB after two months, and still read at once.
  lake_storage_class = "GLACIER_IR"
  lake_storage_days  = 60

  subnet_ids         = var.subnet_ids
  security_group_ids = var.security_group_ids

  athena_results   = "s3://${var.results_bucket}/trailmill/"
  alarm_topic_arns = var.alarm_topic_arns

  # Until the first load is done by hand.
  schedule_enabled = false
}
