"""Runs warm calls of one task in Lambda's runtime: `python warm_worker.py MODULE EVENT_FILE ANSWERS_FILE`.

Runs with the packages of the artifact only. AWS answers at the HTTP layer: botocore builds, signs and parses
as always, but every request gets a recorded answer instead of a connection. Writes the CPU milliseconds of a
call of the handler, those of its AWS calls alone, its AWS calls by name, and the bytes that it logs, as JSON
to stderr.
"""

import importlib
import io
import json
import os
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.awsrequest import AWSResponse, HeadersDict

_BATCHES = 10
_CALLS = 20

type Call = tuple[Any, str, dict[str, Any]]
"""A client, an operation and its parameters."""


def main(module: str, event_file: str, answers_file: str) -> None:
    """Measure, and write the result."""
    handler = importlib.import_module(module).handler
    event = json.loads(Path(event_file).read_text())
    answers = json.loads(Path(answers_file).read_text())
    clients = list(_created_clients())
    for client in clients:
        client.meta.events.register("before-send", _answering(client, answers))
    # The first call reads the parameters, which later calls have cached.
    handler(event, _context())
    calls, log_bytes = _observe(lambda: handler(event, _context()), clients)
    totals, services = [], []
    for _ in range(_BATCHES):
        totals.append(_cpu_ms(lambda: handler(event, _context())))
        services.append(_cpu_ms(lambda: _repeat(calls)))
    result = {
        "totalCpuMs": median(totals),
        "servicesCpuMs": median(services),
        "calls": Counter(operation for _, operation, _ in calls),
        "logBytes": log_bytes,
    }
    sys.stderr.write(json.dumps(result))


def _created_clients() -> Iterator[Any]:
    from support.aws import clients  # noqa: PLC0415 - the handler's module comes first, as on Lambda

    for create in vars(clients).values():
        if hasattr(create, "cache_info"):
            yield create()


def _answering(client: Any, answers: dict[str, str]) -> Callable[..., AWSResponse]:
    service = client.meta.service_model.service_name

    def answer(request: Any, event_name: str, **_: Any) -> AWSResponse:
        operation = event_name.rpartition(".")[2]
        body: Any = _Body(answers[f"{service}.{operation}"].encode())
        headers: Any = HeadersDict()
        return AWSResponse(request.url, 200, headers, body)

    return answer


class _Body(io.BytesIO):
    def stream(self, **_: object) -> Iterator[bytes]:
        """The whole body; botocore reads responses with this method of urllib3."""
        yield self.read()


def _observe(call: Callable[[], object], clients: list[Any]) -> tuple[list[Call], int]:
    """The AWS calls of one call, and the bytes that it logs."""
    calls: list[Call] = []

    def observer(client: Any) -> Callable[..., None]:
        def observe(params: dict[str, Any], model: Any, **_: Any) -> None:
            calls.append((client, model.name, dict(params)))

        return observe

    observers = {client: observer(client) for client in clients}
    for client, observe in observers.items():
        client.meta.events.register("provide-client-params", observe)
    written = os.lseek(1, 0, os.SEEK_CUR)
    call()
    sys.stdout.flush()
    written = os.lseek(1, 0, os.SEEK_CUR) - written
    for client, observe in observers.items():
        client.meta.events.unregister("provide-client-params", observe)
    return calls, written


def _repeat(calls: list[Call]) -> None:
    for client, operation, parameters in calls:
        # The method behind each of a client's operations.
        client._make_api_call(operation, parameters)


def _cpu_ms(call: Callable[[], object]) -> float:
    """The CPU milliseconds of one call, on average over a batch."""
    started = time.process_time()
    for _ in range(_CALLS):
        call()
    return (time.process_time() - started) * 1000 / _CALLS


def _context() -> LambdaContext:
    context = LambdaContext()
    context._function_name = "benchmark"
    context._memory_limit_in_mb = 512
    context._invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:benchmark"
    context._aws_request_id = str(uuid.uuid4())
    return context


if __name__ == "__main__":
    main(*sys.argv[1:])
