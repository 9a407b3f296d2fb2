"""The metrics of REST APIs in the namespace AWS/ApiGateway.

API Gateway records Count, 4XXError, 5XXError and Latency of each request by `ApiName` and `Stage`. The
average of an error metric is the error rate, because it is 0 for the other requests. The emulator records no
such metrics.

Source: API Gateway developer guide, "Amazon API Gateway dimensions and metrics".
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from ministack import app
from ministack.services import apigateway_v1, cloudwatch

from devtools.emulator import patch
from devtools.emulator.api_scope import Address, api_scope


def install() -> None:
    """Extend the emulator."""
    patch.wrap(app, "_handle_execute_api_request", _handle_execute_api_request)


async def _handle_execute_api_request(
    original: Callable[..., Any],
    host: str,
    path: str,
    method: str,
    headers: Mapping[str, str],
    *args: Any,
    **options: Any,
) -> Any:
    started = time.monotonic()
    response = await original(host, path, method, headers, *args, **options)
    with api_scope(host, path) as address:
        if address:
            _record(address, response[0], (time.monotonic() - started) * 1000)
    return response


def _record(address: Address, status: int, milliseconds: float) -> None:
    api_id, stage, _ = address
    dimensions = {"ApiName": apigateway_v1._rest_apis[api_id]["name"], "Stage": stage}
    for name, value, unit in (
        ("Count", 1, "Count"),
        ("4XXError", 400 <= status < 500, "Count"),
        ("5XXError", status >= 500, "Count"),
        ("Latency", milliseconds, "Milliseconds"),
    ):
        cloudwatch.record_metric("AWS/ApiGateway", name, value, unit, dimensions)
