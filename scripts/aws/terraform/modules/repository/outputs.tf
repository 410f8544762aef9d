output "repository_url" {
  description = "Where `scripts/image --push URL:TAG` pushes."
  value       = aws_ecr_repository.this.repository_url
}

output "repository_arn" {
  description = "The `ecr_repository_arn` of the jobs."
  value       = aws_ecr_repository.this.arn
}
