"""The adapters to AWS; no other package uses boto3."""
