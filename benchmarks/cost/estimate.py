"""The cost of a million tickets by part, with the list prices of infra/prices.toml."""

from collections.abc import Mapping
from typing import Any

from benchmarks.cost.architectures import Architecture, compared
from benchmarks.cost.quantities import ASSUMPTIONS, Call, Quantities
from benchmarks.results import Measurements
from infra.prices import PRICES

_MODEL = PRICES["models"]["amazon.nova-lite-v1"]
_MILLION = 1_000_000
_MAIL_MEMORY_MB = 512
_GB = 1_000_000_000


def measure(document: Mapping[str, Any]) -> Measurements:
    """Estimate `cost.*` in USD from the figures of a results document, with the mail as a digest.

    - `cost.perMillionUsd`, `cost.withoutModelUsd`, and `cost.parts.<part>`.
    - `cost.singleMailsUsd`: what a mail for each ticket costs more than the digest.
    - `cost.<architecture>.…`: the same for other architectures.

    Raises:
        ValueError: a figure was not measured.
    """
    quantities = Quantities.from_document(document)
    measurements = _measurements("cost", express_parts(quantities))
    for architecture in compared(quantities):
        measurements |= _measurements(f"cost.{architecture.name}", _parts(architecture))
    return measurements | {"cost.singleMailsUsd": [_MILLION * _single_mail()]}


def express_parts(quantities: Quantities) -> dict[str, float]:
    """The cost of a million tickets by part in this architecture, in USD."""
    return _parts(Architecture(name="express", quantities=quantities, executions=1, transitions=0))


def _parts(architecture: Architecture) -> dict[str, float]:
    used = architecture.quantities
    parts = {
        "model": used.input_tokens * _MODEL["input_token"] + used.output_tokens * _MODEL["output_token"],
        "stateMachine": _state_machine(architecture),
        "stateMachineLog": _log(used.state_machine_log_bytes),
        "lambda": sum(map(_call, used.calls)),
        "dynamodb": used.write_units * PRICES["dynamodb"]["write_unit"]
        + used.read_units * PRICES["dynamodb"]["read_unit"],
        "api": PRICES["api"]["request"],
        "sns": used.publishes * PRICES["sns"]["publish"],
        "sqs": used.queue_requests * PRICES["sqs"]["request"],
        "mail": used.mails * PRICES["sns"]["email"] + _compute(used.mail_runs_ms, _MAIL_MEMORY_MB),
        "functionLog": sum(_log(call.log_bytes + _platform_log_bytes()) for call in used.calls),
        "accessLog": _log(used.access_log_bytes),
        "tracing": used.traces * PRICES["xray"]["trace"],
    }
    return {name: cost * _MILLION for name, cost in parts.items()}


def _state_machine(architecture: Architecture) -> float:
    prices = PRICES["state_machine"]
    gb_seconds = (
        architecture.quantities.execution_ms / 1000 * ASSUMPTIONS["state_machine"]["memory_mb"] / 1024
    )
    execution = prices["express_execution"] + gb_seconds * prices["express_gb_second"]
    return float(
        architecture.executions * execution + architecture.transitions * prices["standard_transition"]
    )


def _call(call: Call) -> float:
    return float(PRICES["lambda"]["request"]) + _compute(call.billed_ms, call.memory_mb)


def _compute(milliseconds: float, memory_mb: float) -> float:
    return float(milliseconds / 1000 * memory_mb / 1024 * PRICES["lambda"]["gb_second"])


def _log(size: float) -> float:
    return float(size / _GB * PRICES["logs"]["gb"])


def _platform_log_bytes() -> float:
    return float(ASSUMPTIONS["lambda"]["platform_log_bytes"])


def _single_mail() -> float:
    """A mail, its publication, the call of the function, and the receipt and deletion of its message."""
    return float(
        PRICES["sns"]["email"]
        + PRICES["sns"]["publish"]
        + PRICES["lambda"]["request"]
        + _compute(ASSUMPTIONS["mail"]["single_ms"], _MAIL_MEMORY_MB)
        + 2 * PRICES["sqs"]["request"]
    )


def _measurements(prefix: str, parts: Mapping[str, float]) -> Measurements:
    total = sum(parts.values())
    return {
        f"{prefix}.perMillionUsd": [total],
        f"{prefix}.withoutModelUsd": [total - parts["model"]],
        **{f"{prefix}.parts.{name}": [cost] for name, cost in parts.items()},
    }
