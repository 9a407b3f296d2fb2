"""Reserved concurrency applies to all versions and aliases of a function.

With ReservedConcurrentExecutions of 0, AWS throttles every invocation of the function. The emulator reads the
limit of a version from the version, which has none.

Source: Lambda developer guide, "Configuring reserved concurrency for a function".
"""

from collections.abc import Callable
from typing import Any

from ministack.services import lambda_svc

from devtools.emulator import patch

Json = dict[str, Any]


def install() -> None:
    """Extend the emulator."""
    patch.wrap(lambda_svc, "_reserved_concurrency", _reserved_concurrency)


def _reserved_concurrency(original: Callable[..., int | None], func: Json, config: Json) -> int | None:
    return original(lambda_svc._functions.get(config["FunctionName"]) or func, config)
