# Every night: plan, array, finish. alarms.tf tells when it fails.

resource "aws_sfn_state_machine" "nightly" {
  name       = "${var.name}-nightly"
  type       = "STANDARD"
  role_arn   = aws_iam_role.state_machine.arn
  definition = local.state_machine
  tags       = var.tags

  # Step Functions tries the role's permissions when it takes the definition.
  depends_on = [aws_iam_role_policy.state_machine]
}

resource "aws_scheduler_schedule_group" "this" {
  name = var.name
  tags = var.tags
}

# A start that EventBridge Scheduler gave up waits here.
resource "aws_sqs_queue" "missed_starts" {
  name                      = "${var.name}-missed-starts"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

resource "aws_scheduler_schedule" "nightly" {
  name                         = "${var.name}-nightly"
  description                  = "Converts what CloudTrail delivered since the last time"
  group_name                   = aws_scheduler_schedule_group.this.name
  schedule_expression          = var.schedule
  schedule_expression_timezone = var.schedule_timezone
  state                        = var.schedule_enabled ? "ENABLED" : "DISABLED"

  flexible_time_window {
    mode                      = "FLEXIBLE"
    maximum_window_in_minutes = 15
  }

  target {
    arn      = aws_sfn_state_machine.nightly.arn
    role_arn = aws_iam_role.schedule.arn
    input    = jsonencode({})

    retry_policy {
      maximum_event_age_in_seconds = 3600
      maximum_retry_attempts       = 10
    }

    dead_letter_config {
      arn = aws_sqs_queue.missed_starts.arn
    }
  }

  depends_on = [aws_iam_role_policy.schedule]
}
