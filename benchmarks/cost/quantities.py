"""What one ticket uses of AWS's services: the figures of `make bench`, and the stated assumptions."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from benchmarks.cost.dynamodb import read_units
from benchmarks.functions.environment import functions
from benchmarks.results import figure

TASKS = ("store", "classify", "update", "notify")
ASSUMPTIONS: dict[str, Any] = tomllib.loads(Path(__file__).with_name("assumptions.toml").read_text())
_MODEL_CALL = "Converse"
_TICKETS_PER_MONTH = 1_000_000
_NOT_MEASURED = "{} was not measured: run `make bench` without PARTS."


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A warm call of a function; `log_bytes` are those of its own lines."""

    memory_mb: float
    cpu_ms: float
    waiting_ms: float
    log_bytes: float

    @property
    def billed_ms(self) -> int:
        """The milliseconds on AWS: less memory is also a smaller share of a processor."""
        slowdown: float = max(1.0, ASSUMPTIONS["lambda"]["mb_per_vcpu"] / self.memory_mb)
        return ceil(self.cpu_ms * slowdown + self.waiting_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantities:
    """What one ticket uses; fractions are its share of what several tickets use together."""

    input_tokens: float
    output_tokens: float
    calls: tuple[Call, ...]
    states: float
    state_machine_log_bytes: float
    access_log_bytes: float
    write_units: float
    read_units: float
    publishes: float
    queue_requests: float
    mails: float
    mail_runs_ms: float
    """The billed milliseconds of the functions that mail."""
    traces: float

    @property
    def execution_ms(self) -> int:
        """The duration of an execution; it is billed in steps of 100 ms."""
        duration = sum(call.billed_ms for call in self.calls)
        duration += int(self.states * ASSUMPTIONS["state_machine"]["ms_per_state"])
        return ceil(duration / 100) * 100

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Quantities":
        """The quantities of a results document; the team gets digests.

        Raises:
            ValueError: a figure was not measured.
        """
        output_tokens = _figure(document, "tokens.output")
        memory = {function.key: function.memory_mb for function in functions()}
        month, mail = ASSUMPTIONS["month"], ASSUMPTIONS["mail"]
        digests = month["seconds"] / mail["digest_seconds"] / _TICKETS_PER_MONTH
        reads = sum(_operations(document, task).get("GetItem", 0) for task in TASKS)
        return cls(
            input_tokens=sum(_figure(document, f"tokens.{name}") for name in ("input", "toolUse", "ticket")),
            output_tokens=output_tokens,
            calls=tuple(_call(document, task, memory[task], output_tokens) for task in TASKS),
            states=_figure(document, "ticket.states"),
            state_machine_log_bytes=_figure(document, "ticket.stateMachineLogBytes")
            + len(TASKS) * ASSUMPTIONS["state_machine"]["unlogged_bytes_per_task"],
            access_log_bytes=_figure(document, "ticket.accessLogBytes"),
            write_units=_figure(document, "ticket.writeUnits"),
            read_units=reads * read_units(_figure(document, "ticket.itemBytes")),
            publishes=1 + digests,
            # The delivery to the digest's queue; its function receives and deletes several at once.
            queue_requests=1 + 2 / mail["messages_per_request"],
            mails=digests,
            mail_runs_ms=digests * mail["digest_ms"],
            traces=_traced_share(_TICKETS_PER_MONTH / month["seconds"]),
        )


def _call(document: Mapping[str, Any], task: str, memory_mb: float, output_tokens: float) -> Call:
    return Call(
        memory_mb=memory_mb,
        cpu_ms=_figure(document, f"warm.{task}.totalCpuMs"),
        waiting_ms=sum(_waiting_ms(_operations(document, task), output_tokens)),
        log_bytes=_figure(document, f"warm.{task}.logBytes"),
    )


def _waiting_ms(operations: Mapping[str, float], output_tokens: float) -> Iterator[float]:
    for operation, count in operations.items():
        if operation == _MODEL_CALL:
            yield count * output_tokens * ASSUMPTIONS["model"]["ms_per_output_token"]
        else:
            yield count * ASSUMPTIONS["waiting_ms"][operation]


def _operations(document: Mapping[str, Any], task: str) -> Mapping[str, float]:
    """The number of AWS calls of a task, by name."""
    operations: Mapping[str, float] = document.get("warm", {}).get(task, {}).get("calls")
    if not operations:
        raise ValueError(_NOT_MEASURED.format(f"warm.{task}.calls"))
    return operations


def _traced_share(per_second: float) -> float:
    month = ASSUMPTIONS["month"]
    first = min(per_second, month["traced_per_second"])
    return float((first + (per_second - first) * month["traced_share_of_others"]) / per_second)


def _figure(document: Mapping[str, Any], key: str) -> float:
    value = figure(document, key)
    if value is None:
        raise ValueError(_NOT_MEASURED.format(key))
    return value
