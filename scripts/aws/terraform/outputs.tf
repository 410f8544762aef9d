output "state_machine_arn" {
  description = "Start it to run a chain now."
  value       = aws_sfn_state_machine.nightly.arn
}

output "job_queue_arn" {
  description = "The queue of all jobs."
  value       = aws_batch_job_queue.this.arn
}

output "job_definition_arns" {
  description = "The job definitions of plan, child and finish."
  value       = local.job_arns
}

output "job_role_arn" {
  description = "Who the jobs are: name it in key policies, in bucket policies of other accounts, and in Lake Formation."
  value       = aws_iam_role.job.arn
}

output "objects_queue_url" {
  description = "The queue of `trailmill watch`; null without it."
  value       = var.watch ? local.objects_queue_url : null
}

output "lake" {
  description = "Address of the lake."
  value       = local.lake
}

output "log_group" {
  description = "Where the jobs write."
  value       = aws_cloudwatch_log_group.jobs.name
}

output "archive_bucket_policy" {
  description = "What the bucket policy of logs in another account must also say, as JSON."
  value       = jsonencode(local.archive_bucket_policy)
}

output "archive_key_policy" {
  description = "What the policy of the key that encrypts those logs must also say, as JSON."
  value       = jsonencode(local.archive_key_policy)
}

output "alarm_arns" {
  description = "The alarms, to be shown elsewhere or combined."
  value = concat(
    [
      aws_cloudwatch_metric_alarm.nightly.arn,
      aws_cloudwatch_metric_alarm.overdue.arn,
      aws_cloudwatch_metric_alarm.missed_starts.arn,
      aws_cloudwatch_metric_alarm.failed_jobs.arn,
    ],
    aws_cloudwatch_metric_alarm.quarantined[*].arn,
    aws_cloudwatch_metric_alarm.duplicates[*].arn,
    aws_cloudwatch_metric_alarm.dead_letters[*].arn,
    aws_cloudwatch_metric_alarm.late[*].arn,
    aws_cloudwatch_metric_alarm.delay[*].arn,
    aws_cloudwatch_metric_alarm.gone[*].arn,
  )
}
