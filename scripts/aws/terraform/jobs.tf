# The three job definitions, and the log they write to.

locals {
  # What Fargate takes: for each number of vCPUs the least and the most memory in MiB, and the step between.
  fargate_memory = {
    "0.25" = { min = 512, max = 2048, step = 512 }
    "0.5"  = { min = 1024, max = 4096, step = 1024 }
    "1"    = { min = 2048, max = 8192, step = 1024 }
    "2"    = { min = 4096, max = 16384, step = 1024 }
    "4"    = { min = 8192, max = 30720, step = 1024 }
    "8"    = { min = 16384, max = 61440, step = 4096 }
    "16"   = { min = 32768, max = 122880, step = 8192 }
  }
}

resource "aws_cloudwatch_log_group" "jobs" {
  name              = local.log_group_name
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

resource "aws_batch_job_definition" "this" {
  for_each              = local.containers
  name                  = "${var.name}-${each.key}"
  type                  = "container"
  platform_capabilities = [var.compute]
  container_properties  = jsonencode(each.value)
  parameters            = local.parameters[each.key]
  propagate_tags        = true
  tags                  = var.tags

  retry_strategy {
    attempts = var.attempts

    dynamic "evaluate_on_exit" {
      for_each = local.retries
      content {
        action           = evaluate_on_exit.value.action
        on_exit_code     = evaluate_on_exit.value.on_exit_code
        on_reason        = evaluate_on_exit.value.on_reason
        on_status_reason = evaluate_on_exit.value.on_status_reason
      }
    }
  }

  timeout {
    attempt_duration_seconds = var.attempt_seconds
  }

  lifecycle {
    precondition {
      condition = var.compute == "EC2" || try(
        local.sizes[each.key].memory >= local.fargate_memory[tostring(local.sizes[each.key].vcpus)].min
        && local.sizes[each.key].memory <= local.fargate_memory[tostring(local.sizes[each.key].vcpus)].max
        && local.sizes[each.key].memory % local.fargate_memory[tostring(local.sizes[each.key].vcpus)].step == 0,
        false,
      )
      error_message = "Fargate has no such pair of vCPUs and memory for ${each.key}."
    }
  }

  # A job that starts before its role may do anything ends with 3, which is not tried again.
  depends_on = [aws_iam_role_policy.execution, aws_iam_role_policy.job]
}
