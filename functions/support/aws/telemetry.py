"""The logger and the metrics of all functions. Neither log lines nor metrics contain ticket content."""

from aws_lambda_powertools import Logger, Metrics

logger = Logger()
metrics = Metrics()
