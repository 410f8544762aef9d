# One role for each that acts: what starts containers, what runs in them, the state machine, the schedule.

resource "aws_iam_role" "execution" {
  name_prefix        = "${var.name}-run-"
  description        = "Starts the containers of ${var.name}: pulls the image, writes the log"
  assume_role_policy = jsonencode(local.job_trust)
  tags               = var.tags
}

resource "aws_iam_role_policy" "execution" {
  name   = "run"
  role   = aws_iam_role.execution.id
  policy = jsonencode(local.execution_policy)
}

resource "aws_iam_role" "job" {
  name_prefix        = "${var.name}-job-"
  description        = "What ${var.name} may do: read the logs, write the lake and its catalog"
  assume_role_policy = jsonencode(local.job_trust)
  tags               = var.tags
}

resource "aws_iam_role_policy" "job" {
  name   = "convert"
  role   = aws_iam_role.job.id
  policy = jsonencode(local.job_policy)
}

resource "aws_iam_role" "state_machine" {
  name_prefix        = "${var.name}-nightly-"
  description        = "Submits the jobs of ${var.name} and waits for them"
  assume_role_policy = jsonencode(local.state_machine_trust)
  tags               = var.tags
}

resource "aws_iam_role_policy" "state_machine" {
  name   = "submit"
  role   = aws_iam_role.state_machine.id
  policy = jsonencode(local.state_machine_policy)
}

resource "aws_iam_role" "schedule" {
  name_prefix        = "${var.name}-schedule-"
  description        = "Starts the state machine of ${var.name}"
  assume_role_policy = jsonencode(local.schedule_trust)
  tags               = var.tags
}

resource "aws_iam_role_policy" "schedule" {
  name   = "start"
  role   = aws_iam_role.schedule.id
  policy = jsonencode(local.schedule_policy)
}

# EC2 only: the agent on an instance joins the cluster with this. Containers cannot reach it.
resource "aws_iam_role" "instance" {
  count              = var.compute == "EC2" ? 1 : 0
  name_prefix        = "${var.name}-host-"
  description        = "The instances that ${var.name} runs on"
  assume_role_policy = jsonencode(local.instance_trust)
  tags               = var.tags
}

resource "aws_iam_role_policy_attachment" "instance" {
  count      = var.compute == "EC2" ? 1 : 0
  role       = aws_iam_role.instance[0].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
}

resource "aws_iam_instance_profile" "instance" {
  count       = var.compute == "EC2" ? 1 : 0
  name_prefix = "${var.name}-host-"
  role        = aws_iam_role.instance[0].name
  tags        = var.tags

  depends_on = [aws_iam_role_policy_attachment.instance]
}
