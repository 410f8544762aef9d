# `terraform test`: plans with a mock of the provider, so that neither an account nor a credential is needed.

mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }
  mock_data "aws_region" {
    defaults = { region = "nowhere" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "0" }
  }
}

variables {
  image              = "registry.example/trailmill@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  source_bucket      = "logs"
  lake_bucket        = "lake"
  subnet_ids         = ["subnet-1"]
  security_group_ids = ["sg-1"]
}

run "the_least_that_is_given" {
  command = plan

  assert {
    condition     = length(aws_batch_job_definition.this) == 3
    error_message = "There are three jobs: plan, child and finish."
  }

  assert {
    condition     = length(aws_batch_compute_environment.this) == 2
    error_message = "Spot first, then on-demand."
  }

  assert {
    condition     = length(aws_sqs_queue.objects) == 0 && length(aws_ecs_service.watch) == 0
    error_message = "Nothing watches unless it is asked for."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.delay) == 0 && length(aws_cloudwatch_metric_alarm.quarantined) == 1
    error_message = "Without a watch nothing can be late; quarantined records ring in any case."
  }

  assert {
    condition     = length(aws_s3_bucket_lifecycle_configuration.lake[0].rule) == 2
    error_message = "Data files stay where they are, and for ever."
  }

  assert {
    condition     = length(aws_lakeformation_permissions.database) == 0
    error_message = "Lake Formation is asked only where it governs the database."
  }
}

run "everything" {
  command = plan

  variables {
    watch                   = true
    lake_formation          = true
    lake_formation_location = true
    lake_storage_days       = 60
    lake_retention_days     = 2557
    athena_results          = "s3://results/trailmill/"
    compute                 = "EC2"
  }

  assert {
    condition     = length(aws_ecs_service.watch) == 1 && length(aws_cloudwatch_event_rule.objects) == 1
    error_message = "Without a topic, a rule of EventBridge says what arrived."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.delay) == 1 && length(aws_cloudwatch_metric_alarm.dead_letters) == 1
    error_message = "A watch has its alarms."
  }

  assert {
    condition     = length(aws_s3_bucket_lifecycle_configuration.lake[0].rule) == 6
    error_message = "Files of tables and of compactions move and end alike."
  }

  assert {
    condition     = length(aws_lakeformation_permissions.location) == 1
    error_message = "A registered location needs a grant of its own."
  }

  assert {
    condition     = length(aws_athena_named_query.this) > 5 && length(aws_launch_template.instance) == 1
    error_message = "There are a workgroup with queries and a launch template."
  }
}

run "a_topic_says_what_arrived" {
  command = plan

  variables {
    watch           = true
    watch_topic_arn = "topic"
    metrics         = false
  }

  assert {
    condition     = length(aws_sns_topic_subscription.objects) == 1 && length(aws_cloudwatch_event_rule.objects) == 0
    error_message = "The topic takes the place of the rule."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.quarantined) == 0
    error_message = "Without metrics there is nothing to ring on."
  }
}

run "a_bucket_that_is_there" {
  command = plan

  variables {
    create_lake_bucket = false
    create_database    = false
  }

  assert {
    condition     = length(aws_s3_bucket.lake) == 0 && length(aws_glue_catalog_database.this) == 0
    error_message = "What is there is left alone."
  }
}

run "an_image_needs_its_digest" {
  command = plan

  variables {
    image = "registry.example/trailmill:latest"
  }

  expect_failures = [var.image]
}

run "values_that_cannot_be_meant_are_refused" {
  command = plan

  variables {
    array_size               = 1
    purchase                 = "FREE"
    lake_storage_days        = 7
    lake_storage_class       = "DEEP_ARCHIVE"
    alarm_duplicates_percent = 101
    source_prefix            = "AWSLogs/"
  }

  expect_failures = [
    var.array_size, var.purchase, var.lake_storage_days, var.lake_storage_class, var.alarm_duplicates_percent,
    var.source_prefix,
  ]
}

run "fargate_has_no_such_pair" {
  command = plan

  variables {
    child_size = { vcpus = 2, memory = 1024 }
  }

  expect_failures = [aws_batch_job_definition.this]
}
