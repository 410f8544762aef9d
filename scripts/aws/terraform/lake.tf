# The lake's bucket, unless there is one, and the database.

resource "aws_s3_bucket" "lake" {
  count  = var.create_lake_bucket ? 1 : 0
  bucket = var.lake_bucket
  tags   = var.tags
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

  depends_on = [aws_s3_bucket_versioning.lake]
}

resource "aws_glue_catalog_database" "this" {
  count       = var.create_database ? 1 : 0
  name        = var.database
  description = "CloudTrail, converted by trailmill"
  tags        = var.tags
}
