"""A stand-in for Amazon Bedrock's Converse API on loopback, which needs no AWS account."""
