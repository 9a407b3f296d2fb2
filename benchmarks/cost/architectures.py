"""Two other architectures for the same work: their quantities are derived from the measured ones."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from benchmarks.cost.quantities import ASSUMPTIONS, Call, Quantities


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """What an architecture uses per ticket, with EXPRESS executions and transitions of Standard workflows."""

    name: str
    quantities: Quantities
    executions: float
    transitions: float


def compared(quantities: Quantities) -> Iterator[Architecture]:
    """The architectures that this one is compared with."""
    yield standard_workflow(quantities)
    yield queue_and_two_functions(quantities)


def standard_workflow(quantities: Quantities) -> Architecture:
    """The same state machine as a Standard workflow, which keeps its history itself and needs no log."""
    return Architecture(
        name="standard",
        quantities=replace(quantities, state_machine_log_bytes=0),
        executions=0,
        transitions=quantities.states,
    )


def queue_and_two_functions(quantities: Quantities) -> Architecture:
    """API Gateway, a function that stores the ticket and queues it, and a function that does all the rest.

    The two functions compute, wait, read, write and log as much as the four tasks. Each ticket is sent to the
    queue, received and deleted on its own, because the second function takes one ticket at a time.
    """
    store, *others = quantities.calls
    first = replace(store, waiting_ms=store.waiting_ms + ASSUMPTIONS["waiting_ms"]["SendMessage"])
    second = Call(
        memory_mb=max(call.memory_mb for call in others),
        cpu_ms=sum(call.cpu_ms for call in others),
        waiting_ms=sum(call.waiting_ms for call in others),
        log_bytes=sum(call.log_bytes for call in others),
    )
    return Architecture(
        name="twoFunctions",
        quantities=replace(
            quantities,
            calls=(first, second),
            queue_requests=quantities.queue_requests + 3,
            state_machine_log_bytes=0,
        ),
        executions=0,
        transitions=0,
    )
