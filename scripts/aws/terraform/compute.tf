# Where the jobs run: an environment of Spot capacity, one of on-demand, and a queue that tries them in order.
# Batch acts with its service-linked role, which it makes itself.

locals {
  is_ec2 = var.compute == "EC2"

  environments = {
    for purchase, priority in { SPOT_FIRST = { SPOT = 1, ON_DEMAND = 2 }, SPOT = { SPOT = 1 }, ON_DEMAND = { ON_DEMAND = 1 } }[var.purchase] :
    purchase => {
      order = priority
      type  = local.is_ec2 ? (purchase == "SPOT" ? "SPOT" : "EC2") : (purchase == "SPOT" ? "FARGATE_SPOT" : "FARGATE")
      # Both let Batch change an environment in place.
      allocation = !local.is_ec2 ? null : purchase == "SPOT" ? "SPOT_PRICE_CAPACITY_OPTIMIZED" : "BEST_FIT_PROGRESSIVE"
    }
  }

  default_instance_types = [var.architecture == "ARM64" ? "default_arm64" : "default_x86_64"]
  instance_types         = length(var.instance_types) > 0 ? var.instance_types : local.default_instance_types
}

resource "aws_launch_template" "instance" {
  count       = local.is_ec2 ? 1 : 0
  name_prefix = "${var.name}-"
  tags        = var.tags

  # One hop: an answer of the metadata service does not get into a container.
  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
}

resource "aws_batch_compute_environment" "this" {
  for_each    = local.environments
  name_prefix = "${var.name}-${lower(replace(each.key, "_", "-"))}-"
  type        = "MANAGED"
  tags        = var.tags

  compute_resources {
    type               = each.value.type
    max_vcpus          = var.max_vcpus
    subnets            = var.subnet_ids
    security_group_ids = var.security_group_ids

    min_vcpus           = local.is_ec2 ? 0 : null
    allocation_strategy = each.value.allocation
    instance_role       = local.is_ec2 ? aws_iam_instance_profile.instance[0].arn : null
    instance_type       = local.is_ec2 ? local.instance_types : null
    tags                = local.is_ec2 ? var.tags : null

    dynamic "ec2_configuration" {
      for_each = local.is_ec2 ? ["ECS_AL2023"] : []
      content {
        image_type = ec2_configuration.value
      }
    }

    dynamic "launch_template" {
      for_each = aws_launch_template.instance
      content {
        launch_template_id = launch_template.value.id
        version            = launch_template.value.latest_version
      }
    }
  }

  # A queue keeps its environments: the new one must be there before the old one goes.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_batch_job_queue" "this" {
  name     = var.name
  state    = "ENABLED"
  priority = 1
  tags     = var.tags

  dynamic "compute_environment_order" {
    for_each = local.environments
    content {
      order               = compute_environment_order.value.order
      compute_environment = aws_batch_compute_environment.this[compute_environment_order.key].arn
    }
  }

  # A job that can never be placed would wait for ever and block those behind it.
  dynamic "job_state_time_limit_action" {
    for_each = ["MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE", "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"]
    content {
      action           = "CANCEL"
      max_time_seconds = 600
      reason           = job_state_time_limit_action.value
      state            = "RUNNABLE"
    }
  }
}
