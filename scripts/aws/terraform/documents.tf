# Every document that AWS is handed: commands, containers, policies, the state machine. Pure: variables and
# references.tf go in, nothing is made here.

locals {
  # The slash keeps out AWSLogs-old and the like: to S3, a prefix is just the start of a key.
  source = "s3://${var.source_bucket}/${var.source_prefix}/"
  lake   = "s3://${var.lake_bucket}/${var.lake_prefix}"

  encryption = var.lake_kms_key_arn == "" ? [] : ["--sse", "aws:kms", "--sse-kms-key-id", var.lake_kms_key_arn]
  # The lake keeps the name; finish finds it there.
  table   = var.table == "cloudtrail" ? [] : ["--table", var.table]
  metrics = var.metrics ? ["--metrics", "emf"] : []

  # The lake's address stands for its open plan, so that no job needs to be told what another one wrote.
  # Ref::children is filled in by Batch, from the parameters below or those of the submission.
  commands = {
    plan  = concat(["plan", local.source, local.lake, "--children", "Ref::children", "--report", "json"], local.table, local.encryption, var.plan_options)
    child = concat(["convert", "--plan", local.lake, "--report", "json"], local.metrics, local.encryption, var.child_options)
    finish = concat(
      ["finish", "--plan", local.lake, "--report", "json", "--database", var.database, "--no-create-database"],
      var.catalog_id == "" ? [] : ["--catalog-id", var.catalog_id],
      var.partition_index ? ["--partition-index"] : [],
      local.metrics,
      local.encryption,
      var.finish_options,
    )
  }

  parameters = { plan = { children = tostring(var.array_size) }, child = {}, finish = {} }
  sizes      = { plan = var.plan_size, child = var.child_size, finish = var.finish_size }

  containers = {
    for job, command in local.commands : job => merge(
      {
        image            = var.image
        command          = command
        jobRoleArn       = local.job_role_arn
        executionRoleArn = local.execution_role_arn
        resourceRequirements = [
          { type = "VCPU", value = tostring(local.sizes[job].vcpus) },
          { type = "MEMORY", value = tostring(local.sizes[job].memory) },
        ]
        # Nothing is written to the container's file system, and nothing needs a privilege.
        user                   = "65532"
        readonlyRootFilesystem = true
        privileged             = false
        environment = [
          # EC2 does not say it, and its metadata service is closed to containers.
          { name = "AWS_REGION", value = local.region },
          { name = "AWS_EC2_METADATA_DISABLED", value = "true" },
        ]
        logConfiguration = {
          logDriver = "awslogs"
          options = {
            "awslogs-group"         = local.log_group_name
            "awslogs-region"        = local.region
            "awslogs-stream-prefix" = job
          }
        }
      },
      local.container_platform,
    )
  }

  # Batch takes these on Fargate only. One type for both arms, or Terraform refuses the condition.
  container_platform = jsondecode(var.compute != "FARGATE" ? "{}" : jsonencode({
    runtimePlatform              = { operatingSystemFamily = "LINUX", cpuArchitecture = var.architecture }
    networkConfiguration         = { assignPublicIp = var.assign_public_ip ? "ENABLED" : "DISABLED" }
    fargatePlatformConfiguration = { platformVersion = "LATEST" }
  }))

  log_group_name = "/trailmill/${var.name}"

  # At most five, and what matches none is tried again: hence the last one. Exit codes of trailmill other than
  # 75 (0, 1, 2, 3) will be the same next time. A job that Batch itself ended for its time is never tried again.
  retries = [
    # The machine went away: EC2 Spot, a failure, a termination.
    { action = "RETRY", on_status_reason = "Host EC2*", on_reason = null, on_exit_code = null },
    # The same of Fargate Spot.
    { action = "RETRY", on_status_reason = "Your Spot Task was interrupted*", on_reason = null, on_exit_code = null },
    { action = "RETRY", on_status_reason = null, on_reason = "CannotPullContainerError:*", on_exit_code = null },
    { action = "RETRY", on_status_reason = null, on_reason = null, on_exit_code = "75" },
    { action = "EXIT", on_status_reason = null, on_reason = "*", on_exit_code = null },
  ]

  state_machine = templatefile("${path.module}/nightly.asl.json", {
    name        = var.name
    partition   = local.partition
    array_size  = var.array_size
    run_seconds = var.run_seconds
    job_queue   = local.job_queue_arn
    plan_job    = local.job_arns["plan"]
    child_job   = local.job_arns["child"]
    finish_job  = local.job_arns["finish"]
  })
}

# Who may take which role. The conditions keep a service from acting for somebody else's account.
locals {
  job_trust = {
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:ecs:${local.region}:${local.account}:*" }
      }
    }]
  }

  state_machine_trust = {
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "states.amazonaws.com" }
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnEquals    = { "aws:SourceArn" = "arn:${local.partition}:states:${local.region}:${local.account}:stateMachine:${var.name}-nightly" }
      }
    }]
  }

  # The scheduler names the group of a schedule, not the schedule.
  schedule_trust = {
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "scheduler.amazonaws.com" }
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnEquals    = { "aws:SourceArn" = local.schedule_group_arn }
      }
    }]
  }

  # EC2 sends no such keys.
  instance_trust = {
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ec2.${local.dns_suffix}" }
    }]
  }
}

# Who may do what.
locals {
  source_bucket_arn = "arn:${local.partition}:s3:::${var.source_bucket}"
  lake_bucket_arn   = "arn:${local.partition}:s3:::${var.lake_bucket}"
  catalog_account   = var.catalog_id == "" ? local.account : var.catalog_id
  glue_arn          = "arn:${local.partition}:glue:${local.region}:${local.catalog_account}"
  # Keys are used through S3 and in no other way. The trail's bucket may be in another region.
  through_s3 = { StringLike = { "kms:ViaService" = "s3.*.${local.dns_suffix}" } }

  execution_policy = {
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "Logs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${local.log_group_arn}:log-stream:*"]
      }],
      var.ecr_repository_arn == "" ? [] : [
        {
          Sid      = "Image"
          Effect   = "Allow"
          Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
          Resource = [var.ecr_repository_arn]
        },
        {
          # It knows no resources.
          Sid      = "Registry"
          Effect   = "Allow"
          Action   = ["ecr:GetAuthorizationToken"]
          Resource = ["*"]
        },
      ],
    )
  }

  job_policy = {
    Version = "2012-10-17"
    Statement = [for statement in [
      {
        Sid       = "ListSource"
        Effect    = "Allow"
        Action    = ["s3:ListBucket"]
        Resource  = [local.source_bucket_arn]
        Condition = { StringLike = { "s3:prefix" = ["${var.source_prefix}/*"] } }
      },
      {
        Sid       = "ReadSource"
        Effect    = "Allow"
        Action    = ["s3:GetObject"]
        Resource  = ["${local.source_bucket_arn}/${var.source_prefix}/*"]
        Condition = null
      },
      {
        # What `trailmill integrity` asks. It knows no resources.
        Sid       = "PublicKeys"
        Effect    = "Allow"
        Action    = ["cloudtrail:ListPublicKeys"]
        Resource  = ["*"]
        Condition = null
      },
      {
        Sid       = "ListLake"
        Effect    = "Allow"
        Action    = ["s3:ListBucket"]
        Resource  = [local.lake_bucket_arn]
        Condition = { StringLike = { "s3:prefix" = [var.lake_prefix, "${var.lake_prefix}/*"] } }
      },
      {
        # Deleted are intents, the lease, and what a run that broke off left behind.
        Sid       = "WriteLake"
        Effect    = "Allow"
        Action    = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
        Resource  = ["${local.lake_bucket_arn}/${var.lake_prefix}/*"]
        Condition = null
      },
      {
        Sid       = "SourceKey"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = compact([var.source_kms_key_arn])
        Condition = local.through_s3
      },
      {
        Sid       = "LakeKey"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = compact([var.lake_kms_key_arn])
        Condition = local.through_s3
      },
      {
        # Not CreateDatabase: the database is made here, or was there.
        Sid    = "Catalog"
        Effect = "Allow"
        Action = concat(
          [
            "glue:BatchCreatePartition",
            "glue:BatchDeletePartition",
            "glue:BatchGetPartition",
            "glue:BatchUpdatePartition",
            "glue:CreateTable",
            "glue:GetDatabase",
            "glue:GetPartitions",
            "glue:GetTable",
            "glue:UpdateTable",
          ],
          var.partition_index ? ["glue:CreatePartitionIndex", "glue:GetPartitionIndexes"] : [],
        )
        Resource = [
          "${local.glue_arn}:catalog",
          "${local.glue_arn}:database/${var.database}",
          "${local.glue_arn}:table/${var.database}/${var.table}",
          "${local.glue_arn}:table/${var.database}/${var.table}_*",
        ]
        Condition = null
      },
    ] : { for key, value in statement : key => value if value != null } if length(statement.Resource) > 0]
  }

  state_machine_policy = {
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Submit"
        Effect   = "Allow"
        Action   = ["batch:SubmitJob"]
        Resource = concat([local.job_queue_arn], values(local.job_arns))
      },
      {
        # The ids of jobs are not known before they run.
        Sid      = "Stop"
        Effect   = "Allow"
        Action   = ["batch:TerminateJob"]
        Resource = ["arn:${local.partition}:batch:${local.region}:${local.account}:job/*"]
      },
      {
        # It knows no resources.
        Sid      = "Look"
        Effect   = "Allow"
        Action   = ["batch:DescribeJobs"]
        Resource = ["*"]
      },
      {
        # How Step Functions hears of the end of a job (`.sync`): a rule of its own, which it makes with this role.
        Sid      = "Hear"
        Effect   = "Allow"
        Action   = ["events:DescribeRule", "events:PutRule", "events:PutTargets"]
        Resource = ["arn:${local.partition}:events:${local.region}:${local.account}:rule/StepFunctionsGetEventsForBatchJobsRule"]
      },
    ]
  }

  schedule_policy = {
    Version = "2012-10-17"
    Statement = [{
      Sid      = "Start"
      Effect   = "Allow"
      Action   = ["states:StartExecution"]
      Resource = [local.state_machine_arn]
      }, {
      # Where the scheduler puts a start that it gave up.
      Sid      = "GiveUp"
      Effect   = "Allow"
      Action   = ["sqs:SendMessage"]
      Resource = [local.missed_starts_arn]
    }]
  }

  # What the account of the logs must add to the policies of bucket and key, where they are not in this account.
  archive_bucket_policy = {
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TrailmillList"
        Effect    = "Allow"
        Principal = { AWS = local.job_role_arn }
        Action    = ["s3:ListBucket"]
        Resource  = [local.source_bucket_arn]
        Condition = { StringLike = { "s3:prefix" = ["${var.source_prefix}/*"] } }
      },
      {
        Sid       = "TrailmillRead"
        Effect    = "Allow"
        Principal = { AWS = local.job_role_arn }
        Action    = ["s3:GetObject"]
        Resource  = ["${local.source_bucket_arn}/${var.source_prefix}/*"]
      },
    ]
  }

  archive_key_policy = {
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TrailmillDecrypt"
      Effect    = "Allow"
      Principal = { AWS = local.job_role_arn }
      Action    = ["kms:Decrypt"]
      # In the policy of a key, this is the key.
      Resource  = ["*"]
      Condition = local.through_s3
    }]
  }

  lake_bucket_policy = {
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [local.lake_bucket_arn, "${local.lake_bucket_arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  }
}

# What `watch` needs: its queue, who may send to it, and the container of its service.
locals {
  objects_queue_name = "${var.name}-objects"
  objects_queue_arn  = "arn:${local.partition}:sqs:${local.region}:${local.account}:${local.objects_queue_name}"
  objects_queue_url  = "https://sqs.${local.region}.${local.dns_suffix}/${local.account}/${local.objects_queue_name}"
  objects_rule_arn   = "arn:${local.partition}:events:${local.region}:${local.account}:rule/${local.objects_queue_name}"

  # Nothing else in the bucket is worth a message.
  objects_pattern = {
    source        = ["aws.s3"]
    "detail-type" = ["Object Created"]
    detail = {
      bucket = { name = [var.source_bucket] }
      object = { key = [{ prefix = "${var.source_prefix}/" }] }
    }
  }

  # A message that cannot be converted five times waits among the dead letters for a person.
  redrive = { deadLetterTargetArn = local.dead_letters_arn, maxReceiveCount = 5 }

  objects_queue_policy = {
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Send"
      Effect    = "Allow"
      Principal = { Service = var.watch_topic_arn == "" ? "events.amazonaws.com" : "sns.amazonaws.com" }
      Action    = ["sqs:SendMessage"]
      Resource  = [local.objects_queue_arn]
      Condition = { ArnEquals = { "aws:SourceArn" = var.watch_topic_arn == "" ? local.objects_rule_arn : var.watch_topic_arn } }
    }]
  }

  watch_policy = {
    Version = "2012-10-17"
    Statement = [{
      Sid      = "ReadQueue"
      Effect   = "Allow"
      Action   = ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
      Resource = [local.objects_queue_arn]
    }]
  }

  watch_command = concat(
    ["watch", local.objects_queue_url, local.source, local.lake],
    ["--database", var.database, "--no-create-database", "--log-format", "json", "--metrics", "emf"],
    var.catalog_id == "" ? [] : ["--catalog-id", var.catalog_id],
    var.partition_index ? ["--partition-index"] : [],
    local.table,
    local.encryption,
    var.watch_options,
  )

  watch_container = {
    name                   = "watch"
    image                  = var.image
    command                = local.watch_command
    essential              = true
    user                   = "65532"
    readonlyRootFilesystem = true
    stopTimeout            = 30
    environment            = [{ name = "AWS_REGION", value = local.region }]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        "awslogs-group"         = local.log_group_name
        "awslogs-region"        = local.region
        "awslogs-stream-prefix" = "watch"
      }
    }
  }
}

# Which jobs count as failed, and who may write them down.
locals {
  failed_jobs_pattern = {
    source        = ["aws.batch"]
    "detail-type" = ["Batch Job State Change"]
    detail        = { status = ["FAILED"], jobQueue = [local.job_queue_arn] }
  }

  failed_jobs_policy = {
    Version = "2012-10-17"
    Statement = [{
      Sid       = "FailedJobs"
      Effect    = "Allow"
      Principal = { Service = ["delivery.logs.amazonaws.com", "events.amazonaws.com"] }
      Action    = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource  = ["arn:${local.partition}:logs:${local.region}:${local.account}:log-group:/aws/events/${var.name}-failed-jobs:*"]
    }]
  }
}

# What people look at: queries of a workgroup of Athena, and charts of what the jobs say with `--metrics emf`.
locals {
  queries = {
    "console-logins-without-mfa" = {
      description = "Who logged in to the console without MFA, in the last 30 days"
      query       = "SELECT event_timestamp, user_type, login_result, sourceipaddress FROM ${var.table}_console_logins WHERE mfa_used = false AND event_timestamp > current_timestamp - INTERVAL '30' DAY ORDER BY event_timestamp DESC"
    }
    "root" = {
      description = "What the root user did, in the last 30 days"
      query       = "SELECT event_timestamp, eventsource, eventname, sourceipaddress FROM ${var.table}_root_activity WHERE event_timestamp > current_timestamp - INTERVAL '30' DAY ORDER BY event_timestamp DESC"
    }
    "denied" = {
      description = "Who was denied what most often, in the last 7 days"
      query       = "SELECT useridentity.arn, eventsource, eventname, count(*) AS n FROM ${var.table} WHERE errorcode IN ('AccessDenied', 'Client.UnauthorizedOperation') AND event_timestamp > current_timestamp - INTERVAL '7' DAY GROUP BY useridentity.arn, eventsource, eventname ORDER BY n DESC LIMIT 100"
    }
    "s3-prefix" = {
      description = "Who touched a prefix, and when: put in bucket and prefix"
      query       = "SELECT event_timestamp, useridentity.arn, eventname, s3_key, sourceipaddress FROM ${var.table} WHERE s3_bucket = 'BUCKET' AND s3_key LIKE 'PREFIX/%' ORDER BY event_timestamp DESC LIMIT 1000"
    }
    "lambda-invocations" = {
      description = "Who invoked a function, in the last 3 days: put in its name"
      query       = "SELECT useridentity.arn, count(*) AS n, max(event_timestamp) AS last FROM ${var.table} WHERE eventname = 'Invoke' AND lambda_function LIKE '%FUNCTION%' AND event_timestamp > current_timestamp - INTERVAL '3' DAY GROUP BY useridentity.arn ORDER BY n DESC"
    }
    "trail-changes" = {
      description = "Who changed trails"
      query       = "SELECT event_timestamp, useridentity.arn, eventname, requestparameters FROM ${var.table} WHERE eventsource = 'cloudtrail.amazonaws.com' AND eventname IN ('StopLogging', 'DeleteTrail', 'UpdateTrail', 'PutEventSelectors') ORDER BY event_timestamp DESC"
    }
  }

  # The key of every data file begins with one of these, and no document's.
  data_files = { tables = "${var.lake_prefix}/${var.table}", compacted = "${var.lake_prefix}/_trailmill/compacted/" }

  charts = [
    { title = "Records", metrics = ["RecordsRead", "RecordsWritten", "RecordsDuplicate", "RecordsQuarantined"], stat = "Sum" },
    { title = "Objects", metrics = ["Objects", "ObjectsQuarantined"], stat = "Sum" },
    { title = "Bytes", metrics = ["BytesJson", "BytesParquet"], stat = "Sum" },
    { title = "Seconds of a run", metrics = ["RunSeconds"], stat = "Maximum" },
    { title = "Delay of a watch, in seconds", metrics = ["DelayP50", "DelayP99", "OldestMessageAge"], stat = "Maximum" },
    { title = "Messages of a watch", metrics = ["MessagesReceived", "MessagesDeleted", "MessagesLeft", "ReceiptsExpired"], stat = "Sum" },
    { title = "Objects of a watch", metrics = ["ObjectsNamed", "ObjectsKnown", "ObjectsIgnored", "ObjectsGone"], stat = "Sum" },
  ]

  dashboard = {
    widgets = [for at, chart in local.charts : {
      type   = "metric"
      x      = 12 * (at % 2)
      y      = 6 * floor(at / 2)
      width  = 12
      height = 6
      properties = {
        title   = chart.title
        region  = local.region
        view    = "timeSeries"
        stat    = chart.stat
        period  = 3600
        metrics = [for name in chart.metrics : ["trailmill", name, "Lake", local.lake]]
      }
    }]
  }
}
