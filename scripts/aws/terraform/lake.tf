# The lake's bucket, unless there is one, and the database.

resource "aws_s3_bucket" "lake" {
  count  = var.create_lake_bucket ? 1 : 0
  bucket = var.lake_bucket
  tags   = var.tags

  # The lake may hold what the logs no longer do. To let go of the bucket without deleting it:
  # terraform state rm, then create_lake_bucket = false.
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_public_access_block" "lake" {
  count                   = var.create_lake_bucket ? 1 : 0
  bucket                  = aws_s3_bucket.lake[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "lake" {
  count  = var.create_lake_bucket ? 1 : 0
  bucket = aws_s3_bucket.lake[0].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_policy" "lake" {
  count  = var.create_lake_bucket ? 1 : 0
  bucket = aws_s3_bucket.lake[0].id
  policy = jsonencode(local.lake_bucket_policy)

  # S3 takes one change of a bucket's access at a time.
  depends_on = [aws_s3_bucket_public_access_block.lake]
}

resource "aws_s3_bucket_server_side_encryption_configuration" "lake" {
  count  = var.create_lake_bucket ? 1 : 0
  bucket = aws_s3_bucket.lake[0].id

  rule {
    # One call to KMS for many objects.
    bucket_key_enabled = var.lake_kms_key_arn != ""

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.lake_kms_key_arn == "" ? "AES256" : "aws:kms"
      kms_master_key_id = var.lake_kms_key_arn == "" ? null : var.lake_kms_key_arn
    }
  }
}

resource "aws_s3_bucket_versioning" "lake" {
  count  = var.create_lake_bucket ? 1 : 0
  bucket = aws_s3_bucket.lake[0].id

  versioning_configuration {
    status = var.lake_versioning ? "Enabled" : "Suspended"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "lake" {
  count  = var.create_lake_bucket ? 1 : 0
  bucket = aws_s3_bucket.lake[0].id

  # trailmill puts no file in parts; other writers do.
  rule {
    id     = "unfinished-uploads"
    status = "Enabled"
    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  rule {
    id     = "old-versions"
    status = "Enabled"
    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_days
    }

    expiration {
      expired_object_delete_marker = true
    }
  }

  dynamic "rule" {
    for_each = var.lake_storage_days > 0 ? local.data_files : {}
    content {
      id     = "cheaper-class-${rule.key}"
      status = "Enabled"

      filter {
        prefix = rule.value
      }

      transition {
        days          = var.lake_storage_days
        storage_class = var.lake_storage_class
      }
    }
  }

  dynamic "rule" {
    for_each = var.lake_retention_days > 0 ? local.data_files : {}
    content {
      id     = "old-data-files-${rule.key}"
      status = "Enabled"

      filter {
        prefix = rule.value
      }

      expiration {
        days = var.lake_retention_days
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.lake]
}

resource "aws_glue_catalog_database" "this" {
  count       = var.create_database ? 1 : 0
  name        = var.database
  description = "AWS CloudTrail events as Parquet, written by trailmill"
  tags        = var.tags
}

# Where Lake Formation governs the database, it must allow a call, and IAM as well.

resource "aws_lakeformation_permissions" "database" {
  count       = var.lake_formation ? 1 : 0
  principal   = aws_iam_role.job.arn
  permissions = ["CREATE_TABLE", "DESCRIBE"]
  catalog_id  = local.catalog_account

  database {
    name       = var.create_database ? aws_glue_catalog_database.this[0].name : var.database
    catalog_id = local.catalog_account
  }
}

resource "aws_lakeformation_permissions" "tables" {
  count       = var.lake_formation ? 1 : 0
  principal   = aws_iam_role.job.arn
  permissions = ["ALTER", "DELETE", "DESCRIBE", "INSERT", "SELECT"]
  catalog_id  = local.catalog_account

  table {
    database_name = var.create_database ? aws_glue_catalog_database.this[0].name : var.database
    catalog_id    = local.catalog_account
    wildcard      = true
  }
}

resource "aws_lakeformation_permissions" "location" {
  count       = var.lake_formation_location ? 1 : 0
  principal   = aws_iam_role.job.arn
  permissions = ["DATA_LOCATION_ACCESS"]

  data_location {
    arn = "${local.lake_bucket_arn}/${var.lake_prefix}"
  }
}
