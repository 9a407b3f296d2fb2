"""The logger and the metrics of all functions. Neither log lines nor metrics contain ticket content."""

import os
from collections.abc import Mapping

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics

from support.domain.metrics import Metric

logger = Logger()

_COMMON = {"service": logger.service, "Stage": os.environ["STAGE_NAME"]}


def record(values: Mapping[Metric, float], **dimensions: str) -> None:
    """Write metrics that have the same `by` as one log line; `dimensions` has a value for each dimension."""
    first, *others = next(iter(values)).by
    line = EphemeralMetrics(default_dimensions=_COMMON)
    for metric, value in values.items():
        line.add_metric(metric.name, metric.unit, value)
    if first:
        line.add_dimension(first, dimensions[first])
    for name in others:
        line.add_dimensions(**{name: dimensions[name]})
    line.flush_metrics()
