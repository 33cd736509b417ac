variable "address" {
  description = "Address of the host."
  type        = string
  default     = "192.0.2.11"
}

variable "user" {
  description = "Login user on the host."
  type        = string
  default     = "root"
}

variable "private_key_file" {
  description = "SSH private key."
  type        = string
}

variable "known_hosts_file" {
  description = "OpenSSH known_hosts with the host's key."
  type        = string
}

variable "package" {
  description = "Path of the pylibseekdb wheel (pip download --no-deps pylibseekdb==1.4.0.post1)."
  type        = string
}

variable "package_sha256" {
  description = "Its sha256."
  type        = string
}

variable "root_password" {
  description = "Password of root; write-only, in no state and no plan."
  type        = string
  sensitive   = true
  ephemeral   = true
}

variable "app_password" {
  description = "Password of the application's user; write-only as well."
  type        = string
  sensitive   = true
  ephemeral   = true
}

variable "protect" {
  description = "Refuse to destroy. Set to false and apply before terraform destroy."
  type        = bool
  default     = true
}
