variable "name" {
  description = "Name of everything made here, and the start of other names."
  type        = string
  default     = "trailmill"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,27}$", var.name))
    error_message = "2 to 28 lower-case letters, digits and dashes: roles have longer names made of it."
  }
}

variable "image" {
  description = "URI of the container image with its digest, as `scripts/image --push` prints it: ACCOUNT.dkr.ecr.REGION.amazonaws.com/trailmill@sha256:…"
  type        = string

  # A tag can be moved; then some children of an array would run another program than the others.
  validation {
    condition     = can(regex("^\\S+@sha256:[0-9a-f]{64}$", var.image))
    error_message = "REPOSITORY@sha256:DIGEST: `scripts/image --push` prints it."
  }
}

variable "ecr_repository_arn" {
  description = "The image's repository, if it is in ECR: the execution role may pull from it, and from no other."
  type        = string
  default     = ""
}

# Where the logs are and where the lake goes.

variable "source_bucket" {
  description = "Bucket with the CloudTrail logs."
  type        = string
}

variable "source_prefix" {
  description = "What is read begins with this. Nothing else in the bucket may be listed or read. No slash at either end."
  type        = string
  default     = "AWSLogs"

  validation {
    condition     = can(regex("^[^/\\s*?](\\S*[^/\\s])?$", var.source_prefix))
    error_message = "Not empty, no slash at either end, no blanks."
  }
}

variable "source_kms_key_arn" {
  description = "The key that the trail encrypts with, if any. Its policy must allow the job role, too."
  type        = string
  default     = ""
}

variable "lake_bucket" {
  description = "Bucket of the lake."
  type        = string
}

variable "lake_prefix" {
  description = "The lake's place in its bucket. No slash at either end."
  type        = string
  default     = "cloudtrail"

  validation {
    condition     = can(regex("^[^/\\s*?](\\S*[^/\\s])?$", var.lake_prefix))
    error_message = "Not empty, no slash at either end, no blanks."
  }
}

variable "create_lake_bucket" {
  description = "Make the lake's bucket; false takes one that is there, as it is."
  type        = bool
  default     = true
}

variable "lake_kms_key_arn" {
  description = "Encrypt the lake with this key; empty: with keys of S3 (or, for a bucket that is there, as the bucket says)."
  type        = string
  default     = ""
}

variable "lake_versioning" {
  description = "Keep old versions of the lake's objects. Data files are never replaced, so this guards against people, not against trailmill."
  type        = bool
  default     = false
}

variable "noncurrent_days" {
  description = "Days that old versions are kept for. The lease is renewed every few seconds of a run: each is a version."
  type        = number
  default     = 30
}

variable "lake_storage_class" {
  description = "Storage class that data files move to after lake_storage_days: STANDARD_IA, INTELLIGENT_TIERING or GLACIER_IR, all of which Athena reads at once. Documents below _trailmill stay where they are."
  type        = string
  default     = "STANDARD_IA"

  validation {
    condition     = contains(["STANDARD_IA", "INTELLIGENT_TIERING", "GLACIER_IR"], var.lake_storage_class)
    error_message = "STANDARD_IA, INTELLIGENT_TIERING or GLACIER_IR: from other classes nothing can be read before it is restored."
  }
}

variable "lake_storage_days" {
  description = "Age of a data file, in days, at which it moves to lake_storage_class; 0: never."
  type        = number
  default     = 0

  validation {
    condition     = var.lake_storage_days == 0 || var.lake_storage_days >= 30
    error_message = "0, or 30 and more: S3 moves nothing to STANDARD_IA before."
  }
}

variable "lake_retention_days" {
  description = "Age of a data file, in days, at which it is removed; 0: never. Afterwards `trailmill catalog sync --accept-loss` takes the removed files out of the catalog."
  type        = number
  default     = 0

  validation {
    condition     = var.lake_retention_days == 0 || var.lake_retention_days > var.lake_storage_days
    error_message = "0, or more than lake_storage_days."
  }
}

# The catalog.

variable "database" {
  description = "Glue database of the tables."
  type        = string
  default     = "trailmill"

  validation {
    condition     = can(regex("^[a-z0-9_]{1,255}$", var.database))
    error_message = "Lower-case letters, digits and underscores: what Athena takes."
  }
}

variable "create_database" {
  description = "Make the database; false takes one that is there."
  type        = bool
  default     = true
}

variable "table" {
  description = "Name of the main table; the others begin with it and an underscore. A lake keeps the name."
  type        = string
  default     = "cloudtrail"
}

variable "catalog_id" {
  description = "Account whose Glue catalog is written; empty: this one. Another account's database must be there: set create_database = false."
  type        = string
  default     = ""

  validation {
    condition     = var.catalog_id == "" || !var.create_database
    error_message = "A database in another account's catalog cannot be made from here: set create_database = false."
  }
}

variable "partition_index" {
  description = "Let Glue keep an index over the partition columns, which Athena uses."
  type        = bool
  default     = false
}

variable "lake_formation" {
  description = "Grant the job role what it needs in Lake Formation: for a database that Lake Formation governs. Who applies this must be an administrator of the data lake."
  type        = bool
  default     = false
}

variable "lake_formation_location" {
  description = "The lake's location is registered with Lake Formation: grant the job role access to it, too."
  type        = bool
  default     = false

  validation {
    condition     = var.lake_formation || !var.lake_formation_location
    error_message = "Needs lake_formation = true."
  }
}

variable "athena_results" {
  description = "Where a workgroup of Athena keeps results, s3://bucket/prefix/; empty: no workgroup. Its queries are about this lake."
  type        = string
  default     = ""

  validation {
    condition     = var.athena_results == "" || can(regex("^s3://[^/]+/(.*/)?$", var.athena_results))
    error_message = "s3://bucket/ or s3://bucket/prefix/, with a slash at the end."
  }
}

variable "athena_scan_limit" {
  description = "Most bytes that one query of the workgroup may read."
  type        = number
  default     = 1099511627776
}

# What it runs on.

variable "subnet_ids" {
  description = "Subnets of the jobs. They need a way to S3, Glue, CloudWatch Logs, KMS and the image's registry."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Security groups of the jobs. Outgoing HTTPS is all they need."
  type        = list(string)
}

variable "assign_public_ip" {
  description = "Give Fargate jobs a public address: only for public subnets without a NAT gateway."
  type        = bool
  default     = false
}

variable "compute" {
  description = "FARGATE or EC2."
  type        = string
  default     = "FARGATE"

  validation {
    condition     = contains(["FARGATE", "EC2"], var.compute)
    error_message = "FARGATE or EC2."
  }
}

variable "purchase" {
  description = "SPOT_FIRST (Spot, then on-demand), SPOT or ON_DEMAND."
  type        = string
  default     = "SPOT_FIRST"

  validation {
    condition     = contains(["SPOT_FIRST", "SPOT", "ON_DEMAND"], var.purchase)
    error_message = "SPOT_FIRST, SPOT or ON_DEMAND."
  }
}

variable "architecture" {
  description = "ARM64 or X86_64. The image must be built for it."
  type        = string
  default     = "ARM64"

  validation {
    condition     = contains(["ARM64", "X86_64"], var.architecture)
    error_message = "ARM64 or X86_64."
  }
}

variable "instance_types" {
  description = "Instance types or families, for EC2 only; empty: what Batch takes for the architecture."
  type        = list(string)
  default     = []
}

variable "max_vcpus" {
  description = "Most vCPUs at a time, of Spot and of on-demand each."
  type        = number
  default     = 64
}

variable "child_size" {
  description = "vCPUs and MiB of memory of a child of the array."
  type        = object({ vcpus = number, memory = number })
  default     = { vcpus = 2, memory = 4096 }
}

variable "plan_size" {
  description = "vCPUs and MiB of memory of plan, which lists the source and reads a sample."
  type        = object({ vcpus = number, memory = number })
  default     = { vcpus = 2, memory = 4096 }
}

variable "finish_size" {
  description = "vCPUs and MiB of memory of finish, which holds the fingerprints of the run's records."
  type        = object({ vcpus = number, memory = number })
  default     = { vcpus = 2, memory = 8192 }
}

# The jobs.

variable "array_size" {
  description = "Children of the nightly array. One execution may take another number: its input {\"arraySize\": 500}."
  type        = number
  default     = 4

  validation {
    condition     = var.array_size >= 2 && var.array_size <= 10000 && floor(var.array_size) == var.array_size
    error_message = "Batch takes arrays of 2 to 10000."
  }
}

variable "attempts" {
  description = "How often a job is tried when Spot takes its machine, its image does not come, or it ends with 75."
  type        = number
  default     = 5

  validation {
    condition     = var.attempts >= 1 && var.attempts <= 10
    error_message = "Batch takes 1 to 10."
  }
}

variable "attempt_seconds" {
  description = "Longest time of one attempt of one job. Batch does not try again what it ends for this."
  type        = number
  default     = 10800

  validation {
    condition     = var.attempt_seconds >= 60
    error_message = "Batch takes 60 seconds and more."
  }
}

variable "run_seconds" {
  description = "Longest time of one night's chain, so that a job that never starts is noticed."
  type        = number
  default     = 82800
}

variable "plan_options" {
  description = "More options of `trailmill plan`, one word each: [\"--partition-by\", \"region,event_date\"]."
  type        = list(string)
  default     = []
}

variable "metrics" {
  description = "Let the jobs write metrics for CloudWatch into their log, for the dashboard and the alarms. CloudWatch bills each metric by the month."
  type        = bool
  default     = true
}

variable "child_options" {
  description = "More options of `trailmill convert --plan`: [\"--memory\", \"3GB\"]."
  type        = list(string)
  default     = []
}

variable "finish_options" {
  description = "More options of `trailmill finish`: [\"--allow-quarantine\"]."
  type        = list(string)
  default     = []
}

variable "log_retention_days" {
  description = "Days that the jobs' log lines are kept for."
  type        = number
  default     = 90
}

# As it happens: beside the nightly job.

variable "watch" {
  description = "Convert objects minutes after they arrive, too: a queue, and a service of one task that reads it."
  type        = bool
  default     = false
}

variable "watch_topic_arn" {
  description = "SNS topic that says what arrived: the trail's own, or one that S3 notifies. Empty: a rule of EventBridge, for a bucket in this account and region that sends its events there."
  type        = string
  default     = ""
}

variable "watch_size" {
  description = "vCPUs and MiB of memory of the service's task, a pair that Fargate takes."
  type        = object({ vcpus = number, memory = number })
  default     = { vcpus = 1, memory = 2048 }
}

variable "watch_options" {
  description = "More options of `trailmill watch`: [\"--window-age\", \"15m\", \"--sweep\", \"1d\"]."
  type        = list(string)
  default     = []
}

# When, and who is told.

variable "schedule" {
  description = "When it runs, as EventBridge Scheduler takes it."
  type        = string
  default     = "cron(30 2 * * ? *)"
}

variable "schedule_timezone" {
  description = "The schedule's time zone."
  type        = string
  default     = "UTC"
}

variable "schedule_enabled" {
  description = "false: until the first load is done by hand."
  type        = bool
  default     = true
}

variable "alarm_topic_arns" {
  description = "SNS topics that are told when a night fails; none: the alarm is only seen in CloudWatch."
  type        = list(string)
  default     = []
}

variable "alarm_quarantined" {
  description = "Quarantined records within a day at which an alarm rings; 0: no such alarm."
  type        = number
  default     = 1
}

variable "alarm_duplicates_percent" {
  description = "Percentage of copies among a day's records at which an alarm rings; 0: no such alarm. Two trails over the same events make 50."
  type        = number
  default     = 60

  validation {
    condition     = var.alarm_duplicates_percent >= 0 && var.alarm_duplicates_percent <= 100
    error_message = "0 to 100."
  }
}

variable "alarm_delay_seconds" {
  description = "Seconds from an object's arrival to its conversion by a watch, as the slowest of 100 takes, at which an alarm rings; 0: no such alarm."
  type        = number
  default     = 3600
}

variable "tags" {
  description = "Tags of everything made here."
  type        = map(string)
  default     = {}
}
