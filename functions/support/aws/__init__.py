"""The adapters to AWS; no other package uses botocore."""
