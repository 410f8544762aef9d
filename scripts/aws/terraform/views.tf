# For people: a workgroup of Athena with queries, and a dashboard.

resource "aws_athena_workgroup" "this" {
  count         = var.athena_results == "" ? 0 : 1
  name          = var.name
  description   = "Questions to the lake ${local.lake}"
  force_destroy = true
  tags          = var.tags

  configuration {
    enforce_workgroup_configuration    = true
    publish_cloudwatch_metrics_enabled = true
    bytes_scanned_cutoff_per_query     = var.athena_scan_limit

    result_configuration {
      output_location = var.athena_results

      encryption_configuration {
        encryption_option = var.lake_kms_key_arn == "" ? "SSE_S3" : "SSE_KMS"
        kms_key_arn       = var.lake_kms_key_arn == "" ? null : var.lake_kms_key_arn
      }
    }
  }
}

resource "aws_athena_named_query" "this" {
  for_each    = var.athena_results == "" ? {} : local.queries
  name        = each.key
  description = each.value.description
  query       = each.value.query
  database    = var.database
  workgroup   = aws_athena_workgroup.this[0].id
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name
  dashboard_body = jsonencode(local.dashboard)
}
