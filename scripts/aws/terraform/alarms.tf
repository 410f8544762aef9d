# What rings, and for whom: alarm_topic_arns.

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

resource "aws_cloudwatch_metric_alarm" "missed_starts" {
  alarm_name          = "${var.name}-missed-starts"
  alarm_description   = "EventBridge Scheduler could not start a run of ${var.name}: its message in the queue ${var.name}-missed-starts says why. Correct it, start the run by hand, and purge the queue."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.missed_starts.name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  tags                = var.tags
}

# A job that failed for good: a child, for which the run goes on, or another, for which it ends. Batch has no such
# metric; a rule of EventBridge counts.
resource "aws_cloudwatch_event_rule" "failed_jobs" {
  name          = "${var.name}-failed-jobs"
  description   = "Jobs of ${var.name} that failed after all their attempts"
  event_pattern = jsonencode(local.failed_jobs_pattern)
  tags          = var.tags
}

resource "aws_cloudwatch_event_target" "failed_jobs" {
  rule = aws_cloudwatch_event_rule.failed_jobs.name
  arn  = aws_cloudwatch_log_group.failed_jobs.arn
}

# EventBridge may write to log groups of this prefix only.
resource "aws_cloudwatch_log_group" "failed_jobs" {
  name              = "/aws/events/${var.name}-failed-jobs"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

resource "aws_cloudwatch_log_resource_policy" "failed_jobs" {
  policy_name     = "${var.name}-failed-jobs"
  policy_document = jsonencode(local.failed_jobs_policy)
}

resource "aws_cloudwatch_metric_alarm" "failed_jobs" {
  alarm_name          = "${var.name}-failed-jobs"
  alarm_description   = "A job of ${var.name} failed after all its attempts; which one is in the log group /aws/events/${var.name}-failed-jobs. Correct the cause and start the run again."
  namespace           = "AWS/Events"
  metric_name         = "MatchedEvents"
  dimensions          = { RuleName = aws_cloudwatch_event_rule.failed_jobs.name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  tags                = var.tags
}

# What the jobs themselves say, with `--metrics emf`.

resource "aws_cloudwatch_metric_alarm" "quarantined" {
  count               = var.metrics && var.alarm_quarantined > 0 ? 1 : 0
  alarm_name          = "${var.name}-quarantined"
  alarm_description   = "Records could not be converted and are kept: `trailmill quarantine ${local.lake}` shows them, with reasons."
  namespace           = "trailmill"
  metric_name         = "RecordsQuarantined"
  dimensions          = { Lake = local.lake }
  statistic           = "Sum"
  period              = 86400
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = var.alarm_quarantined
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "duplicates" {
  count               = var.metrics && var.alarm_duplicates_percent > 0 ? 1 : 0
  alarm_name          = "${var.name}-duplicates"
  alarm_description   = "More of a day's records than usual were copies of others: a second trail, or logs that were copied again."
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = var.alarm_duplicates_percent
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  tags                = var.tags

  metric_query {
    id          = "share"
    expression  = "IF(read > 0, 100 * copies / read, 0)"
    label       = "copies among a day's records, in percent"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { copies = "RecordsDuplicate", read = "RecordsRead" }
    content {
      id = metric_query.key

      metric {
        namespace   = "trailmill"
        metric_name = metric_query.value
        dimensions  = { Lake = local.lake }
        period      = 86400
        stat        = "Sum"
      }
    }
  }
}

# Of a watch.

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  count               = var.watch ? 1 : 0
  alarm_name          = "${var.name}-watch-dead-letters"
  alarm_description   = "Messages of ${var.name} could not be converted: the log of the service says why. Mend it, and redrive them."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.dead_letters[0].name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "late" {
  count               = var.watch ? 1 : 0
  alarm_name          = "${var.name}-watch-late"
  alarm_description   = "An object of ${var.name} has waited for an hour: the service does not run, or cannot read it."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateAgeOfOldestMessage"
  dimensions          = { QueueName = aws_sqs_queue.objects[0].name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 3600
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "delay" {
  count               = var.watch && var.alarm_delay_seconds > 0 ? 1 : 0
  alarm_name          = "${var.name}-watch-delay"
  alarm_description   = "Objects of ${var.name} are converted later than they should be: the service is too small, or was away."
  namespace           = "trailmill"
  metric_name         = "DelayP99"
  dimensions          = { Lake = local.lake }
  statistic           = "Maximum"
  period              = 900
  evaluation_periods  = 2
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = var.alarm_delay_seconds
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "gone" {
  count               = var.watch ? 1 : 0
  alarm_name          = "${var.name}-watch-gone"
  alarm_description   = "Objects were deleted before ${var.name} read them: their events are not in the lake. The log of the service names them."
  namespace           = "trailmill"
  metric_name         = "ObjectsGone"
  dimensions          = { Lake = local.lake }
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  tags                = var.tags
}
