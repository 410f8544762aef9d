# Conversion as objects arrive, beside the nightly job: a queue, what sends to it, and a service of one task.

resource "aws_sqs_queue" "dead_letters" {
  count                     = var.watch ? 1 : 0
  name                      = "${local.objects_queue_name}-dead"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

resource "aws_sqs_queue" "objects" {
  count                      = var.watch ? 1 : 0
  name                       = local.objects_queue_name
  visibility_timeout_seconds = 300
  message_retention_seconds  = 1209600
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = true
  redrive_policy             = jsonencode(local.redrive)
  tags                       = var.tags
}

resource "aws_sqs_queue_policy" "objects" {
  count     = var.watch ? 1 : 0
  queue_url = aws_sqs_queue.objects[0].url
  policy    = jsonencode(local.objects_queue_policy)
}

resource "aws_sns_topic_subscription" "objects" {
  count     = var.watch && var.watch_topic_arn != "" ? 1 : 0
  topic_arn = var.watch_topic_arn
  protocol  = "sqs"
  endpoint  = local.objects_queue_arn

  depends_on = [aws_sqs_queue_policy.objects]
}

resource "aws_cloudwatch_event_rule" "objects" {
  count         = var.watch && var.watch_topic_arn == "" ? 1 : 0
  name          = local.objects_queue_name
  description   = "New objects for ${var.name}"
  event_pattern = jsonencode(local.objects_pattern)
  tags          = var.tags
}

resource "aws_cloudwatch_event_target" "objects" {
  count = var.watch && var.watch_topic_arn == "" ? 1 : 0
  rule  = aws_cloudwatch_event_rule.objects[0].name
  arn   = local.objects_queue_arn

  depends_on = [aws_sqs_queue_policy.objects]
}

resource "aws_iam_role_policy" "watch" {
  count  = var.watch ? 1 : 0
  name   = "watch"
  role   = aws_iam_role.job.id
  policy = jsonencode(local.watch_policy)
}

resource "aws_ecs_cluster" "watch" {
  count = var.watch ? 1 : 0
  name  = "${var.name}-watch"
  tags  = var.tags
}

resource "aws_ecs_task_definition" "watch" {
  count                    = var.watch ? 1 : 0
  family                   = "${var.name}-watch"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = tostring(var.watch_size.vcpus * 1024)
  memory                   = tostring(var.watch_size.memory)
  task_role_arn            = local.job_role_arn
  execution_role_arn       = local.execution_role_arn
  container_definitions    = jsonencode([local.watch_container])
  tags                     = var.tags

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture
  }
}

resource "aws_ecs_service" "watch" {
  count           = var.watch ? 1 : 0
  name            = "${var.name}-watch"
  cluster         = aws_ecs_cluster.watch[0].arn
  task_definition = aws_ecs_task_definition.watch[0].arn
  desired_count   = 1
  launch_type     = "FARGATE"
  propagate_tags  = "SERVICE"
  tags            = var.tags

  # A lake has one writer: the old task ends before the new one begins.
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = var.security_group_ids
    assign_public_ip = var.assign_public_ip
  }

  depends_on = [aws_iam_role_policy.execution, aws_iam_role_policy.job, aws_iam_role_policy.watch]
}
