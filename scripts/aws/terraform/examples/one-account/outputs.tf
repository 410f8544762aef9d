output "repository_url" {
  description = "Where to push the image."
  value       = module.repository.repository_url
}

output "state_machine_arn" {
  description = "What to start for the first load."
  value       = module.trailmill.state_machine_arn
}
