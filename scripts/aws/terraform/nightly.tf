# Every night: plan, array, finish. And somebody hears of it when it fails.

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
  }

  depends_on = [aws_iam_role_policy.schedule]
}

resource "aws_cloudwatch_metric_alarm" "nightly" {
  alarm_name          = "${var.name}-nightly-failed"
  alarm_description   = "A run of ${var.name} failed or took too long. What is missing is in the log of its last job; starting it again is safe."
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  tags                = var.tags

  metric_query {
    id          = "bad"
    expression  = "FILL(failed, 0) + FILL(late, 0)"
    label       = "runs that failed or took too long"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { failed = "ExecutionsFailed", late = "ExecutionsTimedOut" }
    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/States"
        metric_name = metric_query.value
        dimensions  = { StateMachineArn = aws_sfn_state_machine.nightly.arn }
        period      = 300
        stat        = "Sum"
      }
    }
  }
}

# A night that never began fails nowhere: this rings when none has succeeded for 26 hours.
resource "aws_cloudwatch_metric_alarm" "overdue" {
  alarm_name          = "${var.name}-nightly-overdue"
  alarm_description   = "No run of ${var.name} has succeeded for 26 hours: it was not started, is still running, or failed."
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  evaluation_periods  = 26
  datapoints_to_alarm = 26
  treat_missing_data  = "breaching"
  actions_enabled     = var.schedule_enabled
  alarm_actions       = var.alarm_topic_arns
  tags                = var.tags

  metric_query {
    id          = "done"
    expression  = "FILL(succeeded, 0)"
    label       = "runs that succeeded"
    return_data = true
  }

  metric_query {
    id = "succeeded"

    metric {
      namespace   = "AWS/States"
      metric_name = "ExecutionsSucceeded"
      dimensions  = { StateMachineArn = aws_sfn_state_machine.nightly.arn }
      period      = 3600
      stat        = "Sum"
    }
  }
}
