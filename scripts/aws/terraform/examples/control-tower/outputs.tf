output "archive_bucket_policy" {
  description = "To be added to the policy of the bucket in Log Archive."
  value       = module.trailmill.archive_bucket_policy
}

output "archive_key_policy" {
  description = "To be added to the policy of the landing zone's key, if there is one."
  value       = module.trailmill.archive_key_policy
}

output "state_machine_arn" {
  description = "What to start for the first load."
  value       = module.trailmill.state_machine_arn
}
