"""The tests' own AWS clients."""

from functools import cache
from typing import Any

import boto3


@cache
def aws_client(service: str) -> Any:
    """A client for the whole run: to make one takes longer than most tests."""
    return boto3.client(service)  # type: ignore[call-overload]
