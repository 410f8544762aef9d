# Private subnets without a NAT gateway: the jobs reach what they need through endpoints. That of S3 costs nothing; the
# others cost by the hour and by the GB, so that for a few GB a night one subnet is enough.

data "aws_region" "current" {}

locals {
  region = data.aws_region.current.region

  # Glue for the catalog, Logs for the log, ECR for the image, KMS for keys of your own, STS and SQS for
  # `trailmill watch` and for what says who the jobs are.
  services = ["ecr.api", "ecr.dkr", "glue", "kms", "logs", "sqs", "sts"]
}

resource "aws_security_group" "jobs" {
  name        = "trailmill-jobs"
  description = "Jobs of trailmill: outgoing HTTPS to the endpoints and to S3"
  vpc_id      = var.vpc_id
}

resource "aws_security_group" "endpoints" {
  name        = "trailmill-endpoints"
  description = "Endpoints that jobs of trailmill reach"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_egress_rule" "to_endpoints" {
  security_group_id            = aws_security_group.jobs.id
  referenced_security_group_id = aws_security_group.endpoints.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_egress_rule" "to_s3" {
  security_group_id = aws_security_group.jobs.id
  prefix_list_id    = aws_vpc_endpoint.s3.prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_ingress_rule" "from_jobs" {
  security_group_id            = aws_security_group.endpoints.id
  referenced_security_group_id = aws_security_group.jobs.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = var.vpc_id
  service_name      = "com.amazonaws.${local.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = var.route_table_ids
}

resource "aws_vpc_endpoint" "interface" {
  for_each            = toset(local.services)
  vpc_id              = var.vpc_id
  service_name        = "com.amazonaws.${local.region}.${each.value}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = var.subnet_ids
  security_group_ids  = [aws_security_group.endpoints.id]
}

module "trailmill" {
  source = "../.."

  image              = var.image
  ecr_repository_arn = var.ecr_repository_arn
  source_bucket      = var.source_bucket
  lake_bucket        = var.lake_bucket
  subnet_ids         = var.subnet_ids
  security_group_ids = [aws_security_group.jobs.id]
  schedule_enabled   = false
}
