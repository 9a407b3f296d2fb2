"""A stand-in for Amazon Bedrock's Converse API on loopback: triage without an AWS account."""
