variable "image" {
  description = "What `scripts/image --push` printed."
  type        = string
}

variable "ecr_repository_arn" {
  description = "The image's repository."
  type        = string
}

variable "source_bucket" {
  description = "Bucket of the trail."
  type        = string
}

variable "lake_bucket" {
  description = "Bucket of the lake, which is made."
  type        = string
}

variable "vpc_id" {
  description = "The VPC of the subnets. DNS support and host names must be on."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets of the jobs and of the endpoints."
  type        = list(string)
}

variable "route_table_ids" {
  description = "Route tables of these subnets: the endpoint of S3 adds a route to each."
  type        = list(string)
}
