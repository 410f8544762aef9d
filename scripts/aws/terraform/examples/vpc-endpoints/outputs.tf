output "state_machine_arn" {
  description = "What to start for the first load."
  value       = module.trailmill.state_machine_arn
}
