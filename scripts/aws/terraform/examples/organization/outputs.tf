output "archive_bucket_policy" {
  description = "To be added to the policy of the trail's bucket."
  value       = module.trailmill.archive_bucket_policy
}

output "archive_key_policy" {
  description = "To be added to the policy of the trail's key."
  value       = module.trailmill.archive_key_policy
}

output "state_machine_arn" {
  description = "What to start for the first load."
  value       = module.trailmill.state_machine_arn
}
