"""Few workers: who waits for one, for whom it does not count, and who is throttled."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from devtools.emulator.tests.harness import REGION, Emulator, eventually, running
from devtools.emulator.timer import Timer
from devtools.emulator.worker_limit import Call, GivenUpError, WorkerLimit, invoking_for

CONCURRENCY = 4

# Says that it began, and waits for a file that lets it end.
HOLDING = """
import os, pathlib, time

def handler(event, context):
    folder = pathlib.Path(event["folder"])
    (folder / f"began-{event['id']}").touch()
    while not (folder / "end").exists() and not (folder / f"end-{event['id']}").exists():
        time.sleep(0.01)
    (folder / f"ended-{event['id']}").touch()
    return event["id"]
"""

# Says that its module is loaded, and waits for a file before it is.
STARTING = """
import pathlib, time

folder = pathlib.Path("{folder}")
(folder / "starts").touch()
while not (folder / "go").exists():
    time.sleep(0.01)

def handler(event, context):
    return "began"
"""


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """One that has a single worker for each function."""
    settings = {"LAMBDA_WORKERS": "1", "LAMBDA_ACCOUNT_CONCURRENCY": str(CONCURRENCY)}
    with running(tmp_path_factory.mktemp("crowded"), **settings) as emulator:
        yield emulator


class Holding:
    """A function that is held by files, and a pool of threads that invoke it."""

    def __init__(self, emulator: Emulator, folder: Path, pool: ThreadPoolExecutor) -> None:
        self.emulator = emulator
        self.folder = folder
        self.function = emulator.function(HOLDING, timeout=60)
        self._pool = pool

    def event(self, name: str) -> dict[str, str]:
        return {"folder": str(self.folder), "id": name}

    def invoke(self, name: str) -> Any:
        """Begin to invoke it; returns a future of the answer."""
        return self._pool.submit(self.emulator.invoke, self.function, self.event(name))

    def is_at(self, step: str, name: str) -> bool:
        return (self.folder / f"{step}-{name}").exists()

    def end(self, name: str = "") -> None:
        """Let one invocation end, or all."""
        (self.folder / (f"end-{name}" if name else "end")).touch()


@pytest.fixture
def holding(emulator: Emulator, tmp_path: Path) -> Iterator[Holding]:
    with ThreadPoolExecutor(CONCURRENCY + 1) as pool:
        holding = Holding(emulator, tmp_path, pool)
        yield holding
        holding.end()


def task(function: str, seconds: int = 1, **settings: Any) -> dict[str, Any]:
    """A machine with one task; `settings` are the machine's."""
    arn = f"arn:aws:lambda:{REGION}:000000000000:function:{function}"
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    state = {"Type": "Task", "Resource": arn, "TimeoutSeconds": seconds, "Catch": catch, "End": True}
    return {"StartAt": "Task", "States": {"Task": state, "Caught": {"Type": "Succeed"}}, **settings}


def a_second_passes(emulator: Emulator) -> None:
    states = {"W": {"Type": "Wait", "Seconds": 60, "End": True}}
    ended = emulator.run(emulator.machine({"StartAt": "W", "States": states, "TimeoutSeconds": 1}))
    assert ended["status"] == "TIMED_OUT"


# --- Waiting ---


def test_the_wait_for_a_worker_is_in_no_time_limit_of_the_state_machine(
    emulator: Emulator, holding: Holding
) -> None:
    machine = emulator.machine(task(holding.function, TimeoutSeconds=1))
    holder = holding.invoke("first")
    eventually(lambda: holding.is_at("began", "first"))
    started = emulator.client("stepfunctions").start_execution(
        stateMachineArn=machine, input=json.dumps(holding.event("second"))
    )
    holding.end("second")

    a_second_passes(emulator)
    a_second_passes(emulator)
    assert not holding.is_at("began", "second")
    holding.end("first")

    assert holder.result() == (None, "first")
    ended = emulator.ended(started["executionArn"])
    assert (ended["status"], ended["output"]) == ("SUCCEEDED", '"second"')


def test_the_start_of_a_worker_is_in_no_time_limit_of_the_state_machine(
    emulator: Emulator, tmp_path: Path
) -> None:
    function = emulator.function(STARTING.format(folder=tmp_path))
    started = emulator.client("stepfunctions").start_execution(
        stateMachineArn=emulator.machine(task(function, TimeoutSeconds=1))
    )
    eventually((tmp_path / "starts").exists)

    a_second_passes(emulator)
    a_second_passes(emulator)
    (tmp_path / "go").touch()

    ended = emulator.ended(started["executionArn"])
    assert (ended["status"], ended["output"]) == ("SUCCEEDED", '"began"')


def test_those_who_wait_get_their_turn_in_the_order_of_their_arrival() -> None:
    limit, order = WorkerLimit(1), list[str]()

    def invocation(_func: Any, event: str, _request_id: str) -> None:
        order.append(event)
        if event == "first":
            waiting = [pool.submit(execute, name) for name in ("second", "third", "fourth")]
            assert not any(one.done() for one in waiting)

    def execute(name: str) -> None:
        limit.execute(invocation, {"FunctionName": "f"}, name, "")

    with ThreadPoolExecutor(1) as pool:
        execute("first")
    assert order == ["first", "second", "third", "fourth"]


# --- Throttles ---


def test_above_the_accounts_concurrency_nothing_is_started(emulator: Emulator, holding: Holding) -> None:
    """One invocation runs, and the others wait for its worker: they count."""
    client = emulator.client("lambda")
    held = [holding.invoke(str(number)) for number in range(CONCURRENCY)]
    quick = emulator.function("def handler(event, context):\n    return 1")
    other = emulator.function(HOLDING)

    def throttle() -> str:
        try:
            client.invoke(FunctionName=quick)
        except client.exceptions.TooManyRequestsException as error:
            return str(error.response["Reason"])
        return ""

    assert eventually(throttle) == "ConcurrentInvocationLimitExceeded"
    ended = emulator.run(emulator.machine(task(other)), json.dumps(holding.event("other")))
    assert json.loads(ended["output"])["Error"] == "Lambda.TooManyRequestsException"

    holding.end()
    assert {one.result() for one in held} == {(None, str(number)) for number in range(CONCURRENCY)}
    assert not holding.is_at("began", "other")


# --- Calls that Step Functions gave up ---


def test_a_call_that_had_begun_goes_on_when_its_task_is_timed_out(
    emulator: Emulator, holding: Holding
) -> None:
    machine = emulator.machine(task(holding.function))
    ended = emulator.run(machine, json.dumps(holding.event("abandoned")))
    assert json.loads(ended["output"]) == {"Error": "States.Timeout", "Cause": ""}
    assert not holding.is_at("ended", "abandoned")

    holding.end()
    assert eventually(lambda: holding.is_at("ended", "abandoned"))


def test_a_call_that_had_begun_goes_on_when_its_state_machine_is_timed_out(
    emulator: Emulator, holding: Holding
) -> None:
    machine = emulator.machine(task(holding.function, 50, TimeoutSeconds=1))
    answer = emulator.run_sync(machine, json.dumps(holding.event("abandoned")))
    assert (answer["status"], answer["error"]) == ("TIMED_OUT", "States.Timeout")
    assert not holding.is_at("ended", "abandoned")

    holding.end()
    assert eventually(lambda: holding.is_at("ended", "abandoned"))


def test_a_call_that_was_given_up_before_it_had_a_worker_never_runs() -> None:
    limit, call, ran = WorkerLimit(1), Call(), list[str]()

    def invocation(_func: Any, event: str, _request_id: str) -> None:
        ran.append(event)
        if event == "first":
            waiting.append(pool.submit(execute, "second"))
            call.give_up()

    def execute(name: str) -> None:
        with invoking_for(call if name == "second" else None):
            limit.execute(invocation, {"FunctionName": "f"}, name, "")

    waiting = list[Any]()
    with ThreadPoolExecutor(1) as pool:
        execute("first")
    with pytest.raises(GivenUpError):
        waiting[0].result()
    execute("third")
    assert ran == ["first", "third"]


def test_what_comes_of_an_invocation_is_not_part_of_its_call() -> None:
    limit, call, ran = WorkerLimit(2), Call(), list[str]()

    def invocation(_func: Any, event: str, _request_id: str) -> None:
        ran.append(event)
        if event == "first":
            call.give_up()
            limit.execute(invocation, {"FunctionName": "f"}, "caused", "")

    with invoking_for(call):
        limit.execute(invocation, {"FunctionName": "f"}, "first", "")
    assert ran == ["first", "caused"]


def test_a_timer_stands_still_while_somebody_waits() -> None:
    timer = Timer(1000)
    with timer.paused():
        before = timer.remaining()
        with timer.paused():
            pass
        assert timer.remaining() == before
    assert timer.remaining() <= before


# --- Event source mappings ---

# Starts a machine for each message, and waits for its end.
CONSUMING = """
import boto3, json

def handler(event, context):
    for record in event["Records"]:
        call = json.loads(record["body"])
        answer = boto3.client("stepfunctions").start_sync_execution(**call)
        assert answer["status"] == "SUCCEEDED"
"""
HOLDING_MESSAGES = (
    f"import json\n{HOLDING.replace('handler', 'hold')}"
    + """
def handler(event, context):
    for record in event["Records"]:
        hold(json.loads(record["body"]), context)
"""
)


def test_a_mapping_runs_as_many_messages_at_a_time_as_its_maximum_concurrency(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    with running(tmp_path_factory.mktemp("mapped"), LAMBDA_WORKERS="1") as emulator:
        url, arn = emulator.queue(VisibilityTimeout="60")
        function = emulator.function(HOLDING_MESSAGES, timeout=60)
        emulator.consume(arn, function, ScalingConfig={"MaximumConcurrency": 5})
        for number in range(7):
            body = json.dumps({"folder": str(tmp_path), "id": str(number)})
            emulator.client("sqs").send_message(QueueUrl=url, MessageBody=body)

        def began() -> list[str]:
            return sorted(path.name for path in tmp_path.glob("began-*"))

        eventually(lambda: len(began()) == 5)
        # The first is slow: the others go on without it.
        (tmp_path / "end-1").touch()
        eventually(lambda: len(began()) == 6)
        (tmp_path / "end-2").touch()
        eventually(lambda: len(began()) == 7)
        assert not (tmp_path / "ended-0").exists()
        (tmp_path / "end").touch()
        eventually(lambda: len(list(tmp_path.glob("ended-*"))) == 7)


def test_two_mappings_of_a_function_do_not_take_each_others_workers(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    with running(tmp_path_factory.mktemp("twice-mapped"), LAMBDA_WORKERS="1") as emulator:
        function = emulator.function(HOLDING_MESSAGES, timeout=60)
        for name, concurrency, messages in (("busy", 3, 5), ("other", 2, 2)):
            url, arn = emulator.queue(VisibilityTimeout="60")
            emulator.consume(arn, function, ScalingConfig={"MaximumConcurrency": concurrency})
            for number in range(messages):
                body = json.dumps({"folder": str(tmp_path), "id": f"{name}-{number}"})
                emulator.client("sqs").send_message(QueueUrl=url, MessageBody=body)

        def began(name: str) -> int:
            return len(list(tmp_path.glob(f"began-{name}-*")))

        eventually(lambda: (began("busy"), began("other")) == (3, 2))
        (tmp_path / "end").touch()
        eventually(lambda: len(list(tmp_path.glob("ended-*"))) == 7)


def test_a_consumer_that_waits_for_executions_does_not_starve_the_functions_they_run(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    with running(tmp_path_factory.mktemp("waiting"), LAMBDA_WORKERS="1") as emulator:
        url, arn = emulator.queue(VisibilityTimeout="60")
        emulator.consume(
            arn, emulator.function(CONSUMING, timeout=60), ScalingConfig={"MaximumConcurrency": 5}
        )
        machine = emulator.machine(task(emulator.function(HOLDING, timeout=60), 30))
        (tmp_path / "end").touch()
        for number in range(10):
            text = json.dumps({"folder": str(tmp_path), "id": str(number)})
            body = json.dumps({"stateMachineArn": machine, "input": text})
            emulator.client("sqs").send_message(QueueUrl=url, MessageBody=body)

        eventually(lambda: len(list(tmp_path.glob("ended-*"))) == 10)
