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
