from dataclasses import replace

import pytest

from benchmarks.cost.architectures import queue_and_two_functions, standard_workflow
from benchmarks.cost.estimate import express_parts, measure
from benchmarks.cost.quantities import Call, Quantities

CALL = Call(memory_mb=1769, cpu_ms=10, waiting_ms=5, log_bytes=650)
TICKET = Quantities(
    input_tokens=1_000,
    output_tokens=200,
    calls=(CALL, CALL, CALL, CALL),
    states=5,
    state_machine_log_bytes=40_000,
    access_log_bytes=400,
    write_units=12,
    read_units=1,
    publishes=1,
    queue_requests=1.2,
    mails=0,
    mail_runs_ms=0,
    traces=1,
)
TASK = {"totalCpuMs": 3, "logBytes": 900}
DOCUMENT = {
    "tokens": {"input": 600, "toolUse": 335, "ticket": 30, "output": 180},
    "warm": {
        "store": TASK | {"calls": {"PutItem": 1}},
        "classify": TASK | {"calls": {"Converse": 1}},
        "update": TASK | {"calls": {"UpdateItem": 1}},
        "notify": TASK | {"calls": {"GetItem": 1, "Publish": 1, "UpdateItem": 1}},
    },
    "ticket": {
        "states": 5,
        "writes": 3,
        "writeUnits": 12,
        "itemBytes": 4_100,
        "stateMachineLogBytes": 39_000,
        "accessLogBytes": 400,
    },
}


def test_each_part_is_its_quantity_times_its_price() -> None:
    parts = express_parts(TICKET)

    assert parts["model"] == pytest.approx(60 + 48)
    assert parts["stateMachineLog"] == pytest.approx(20)
    assert parts["dynamodb"] == pytest.approx(12 * 0.625 + 0.125)
    assert parts["api"] == pytest.approx(3.50)
    assert parts["functionLog"] == pytest.approx(4 * (650 + 350) * 0.0005)


def test_less_memory_makes_a_call_longer_but_not_its_waiting() -> None:
    assert CALL.billed_ms == 15
    assert replace(CALL, memory_mb=1769 / 2).billed_ms == 25
    assert replace(CALL, memory_mb=3_000).billed_ms == 15


def test_an_execution_is_billed_in_steps_of_100_ms() -> None:
    assert TICKET.execution_ms == 200


def test_a_standard_workflow_pays_for_transitions_and_needs_no_log() -> None:
    standard = standard_workflow(TICKET)

    assert (standard.executions, standard.transitions) == (0, 5)
    assert standard.quantities.state_machine_log_bytes == 0


def test_two_functions_do_the_work_of_the_four_tasks() -> None:
    two = queue_and_two_functions(TICKET).quantities

    assert len(two.calls) == 2
    assert sum(call.cpu_ms for call in two.calls) == sum(call.cpu_ms for call in TICKET.calls)
    assert two.queue_requests == TICKET.queue_requests + 3


def test_the_parts_of_a_results_document_add_up() -> None:
    costs = {key: value for key, (value,) in measure(DOCUMENT).items()}

    parts = {key: value for key, value in costs.items() if key.startswith("cost.parts.")}
    assert costs["cost.perMillionUsd"] == pytest.approx(sum(parts.values()))
    assert costs["cost.withoutModelUsd"] == pytest.approx(
        costs["cost.perMillionUsd"] - parts["cost.parts.model"]
    )
    assert costs["cost.standard.perMillionUsd"] > costs["cost.perMillionUsd"]


def test_a_read_costs_by_the_size_of_the_item() -> None:
    assert Quantities.from_document(DOCUMENT).read_units == 2


def test_a_missing_figure_is_named() -> None:
    with pytest.raises(ValueError, match=r"ticket\.states was not measured"):
        measure(DOCUMENT | {"ticket": {}})
