# What only AWS knows: the account, and the addresses of what is made here. documents.tf is made from these
# and from the variables alone, so that its contents can be looked at without an account (tests/aws).

data "aws_partition" "current" {}
data "aws_region" "current" {}
data "aws_caller_identity" "current" {}

locals {
  partition  = data.aws_partition.current.partition
  dns_suffix = data.aws_partition.current.dns_suffix
  region     = data.aws_region.current.region
  account    = data.aws_caller_identity.current.account_id

  job_role_arn       = aws_iam_role.job.arn
  execution_role_arn = aws_iam_role.execution.arn
  log_group_arn      = aws_cloudwatch_log_group.jobs.arn
  job_queue_arn      = aws_batch_job_queue.this.arn
  job_arns           = { for job, definition in aws_batch_job_definition.this : job => definition.arn }
  state_machine_arn  = aws_sfn_state_machine.nightly.arn
  missed_starts_arn  = aws_sqs_queue.missed_starts.arn
  dead_letters_arn   = one(aws_sqs_queue.dead_letters[*].arn)
  schedule_group_arn = aws_scheduler_schedule_group.this.arn
}
