variable "name" {
  description = "Name of the repository."
  type        = string
  default     = "trailmill"
}

variable "keep_images" {
  description = "Images that are kept; older ones are removed. A push for two platforms counts as three images. Jobs must not run one that is removed."
  type        = number
  default     = 30

  validation {
    condition     = var.keep_images >= 3
    error_message = "3 and more."
  }
}

variable "kms_key_arn" {
  description = "Encrypt images with this key; empty: with keys of S3."
  type        = string
  default     = ""
}

variable "tags" {
  description = "Tags of the repository."
  type        = map(string)
  default     = {}
}
