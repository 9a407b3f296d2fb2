"""The limit on workers: waiting, time limits, throttling, event source mappings."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from devtools.emulator.tests.harness import REGION, Emulator, eventually, running
from devtools.emulator.timer import Timer
from devtools.emulator.worker_limit import InvocationCancelledError, StateInvocation, WorkerLimit, invoking

ACCOUNT_CONCURRENCY = 4

# The handler creates a file when it starts, waits until another file exists, and creates a third one.
BLOCKING = """
import os, pathlib, time

def handler(event, context):
    folder = pathlib.Path(event["folder"])
    (folder / f"started-{event['id']}").touch()
    while not (folder / "finish").exists() and not (folder / f"finish-{event['id']}").exists():
        time.sleep(0.01)
    (folder / f"finished-{event['id']}").touch()
    return event["id"]
"""

# The module creates a file when it is imported, and waits until another file exists.
STARTING = """
import pathlib, time

folder = pathlib.Path("{folder}")
(folder / "importing").touch()
while not (folder / "continue").exists():
    time.sleep(0.01)

def handler(event, context):
    return "started"
"""


@pytest.fixture(scope="module")
def single_worker_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator with a single worker for each function, and a low limit for the account."""
    settings = {"LAMBDA_WORKERS": "1", "LAMBDA_ACCOUNT_CONCURRENCY": str(ACCOUNT_CONCURRENCY)}
    with running(tmp_path_factory.mktemp("single-worker"), **settings) as emulator:
        yield emulator


class BlockingFunction:
    """A function that runs until a file exists, and a pool of threads that invoke it."""

    def __init__(self, emulator: Emulator, folder: Path, pool: ThreadPoolExecutor) -> None:
        self.emulator = emulator
        self.folder = folder
        self.function = emulator.create_function(BLOCKING, timeout=60)
        self._pool = pool

    def event(self, name: str) -> dict[str, str]:
        return {"folder": str(self.folder), "id": name}

    def invoke(self, name: str) -> Any:
        """Start an invocation; returns a future of its result."""
        return self._pool.submit(self.emulator.invoke, self.function, self.event(name))

    def has(self, step: str, name: str) -> bool:
        """Whether the invocation has "started" or "finished"."""
        return (self.folder / f"{step}-{name}").exists()

    def finish(self, name: str = "") -> None:
        """Let one invocation finish, or all."""
        (self.folder / (f"finish-{name}" if name else "finish")).touch()


@pytest.fixture
def blocking(single_worker_emulator: Emulator, tmp_path: Path) -> Iterator[BlockingFunction]:
    with ThreadPoolExecutor(ACCOUNT_CONCURRENCY + 1) as pool:
        blocking = BlockingFunction(single_worker_emulator, tmp_path, pool)
        yield blocking
        blocking.finish()


def task(function: str, seconds: int = 1, **settings: Any) -> dict[str, Any]:
    """A state machine with one task; `settings` are those of the state machine."""
    arn = f"arn:aws:lambda:{REGION}:000000000000:function:{function}"
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    state = {"Type": "Task", "Resource": arn, "TimeoutSeconds": seconds, "Catch": catch, "End": True}
    return {"StartAt": "Task", "States": {"Task": state, "Caught": {"Type": "Succeed"}}, **settings}


def wait_a_second(emulator: Emulator) -> None:
    """Run an execution that times out after a second, which shows that timeouts are enforced."""
    states = {"W": {"Type": "Wait", "Seconds": 60, "End": True}}
    ended = emulator.run(
        emulator.create_state_machine({"StartAt": "W", "States": states, "TimeoutSeconds": 1})
    )
    assert ended["status"] == "TIMED_OUT"


# --- Waiting ---


def test_the_wait_for_a_worker_does_not_count_towards_timeouts(
    single_worker_emulator: Emulator, blocking: BlockingFunction
) -> None:
    emulator = single_worker_emulator
    machine = emulator.create_state_machine(task(blocking.function, TimeoutSeconds=1))
    first = blocking.invoke("first")
    eventually(lambda: blocking.has("started", "first"))
    started = emulator.client("stepfunctions").start_execution(
        stateMachineArn=machine, input=json.dumps(blocking.event("second"))
    )
    blocking.finish("second")

    wait_a_second(emulator)
    wait_a_second(emulator)
    assert not blocking.has("started", "second")
    blocking.finish("first")

    assert first.result() == (None, "first")
    ended = emulator.wait_for_end(started["executionArn"])
    assert (ended["status"], ended["output"]) == ("SUCCEEDED", '"second"')


def test_the_start_of_a_worker_does_not_count_towards_timeouts(
    single_worker_emulator: Emulator, tmp_path: Path
) -> None:
    emulator = single_worker_emulator
    function = emulator.create_function(STARTING.format(folder=tmp_path))
    started = emulator.client("stepfunctions").start_execution(
        stateMachineArn=emulator.create_state_machine(task(function, TimeoutSeconds=1))
    )
    eventually((tmp_path / "importing").exists)

    wait_a_second(emulator)
    wait_a_second(emulator)
    (tmp_path / "continue").touch()

    ended = emulator.wait_for_end(started["executionArn"])
    assert (ended["status"], ended["output"]) == ("SUCCEEDED", '"started"')


def test_waiting_invocations_run_in_the_order_of_their_arrival() -> None:
    limit, order = WorkerLimit(1), list[str]()

    def run(_func: Any, event: str, _request_id: str) -> None:
        order.append(event)
        if event == "first":
            waiting = [pool.submit(execute, name) for name in ("second", "third", "fourth")]
            assert not any(future.done() for future in waiting)

    def execute(name: str) -> None:
        limit.execute(run, {"FunctionName": "f"}, name, "")

    with ThreadPoolExecutor(1) as pool:
        execute("first")
    assert order == ["first", "second", "third", "fourth"]


# --- Throttles ---


def test_invocations_above_the_accounts_concurrency_are_throttled(
    single_worker_emulator: Emulator, blocking: BlockingFunction
) -> None:
    """One invocation runs, and the others wait for its worker: waiting invocations count."""
    emulator = single_worker_emulator
    client = emulator.client("lambda")
    invocations = [blocking.invoke(str(number)) for number in range(ACCOUNT_CONCURRENCY)]
    quick = emulator.create_function("def handler(event, context):\n    return 1")
    other = emulator.create_function(BLOCKING)

    def throttle_reason() -> str:
        try:
            client.invoke(FunctionName=quick)
        except client.exceptions.TooManyRequestsException as error:
            return str(error.response["Reason"])
        return ""

    assert eventually(throttle_reason) == "ConcurrentInvocationLimitExceeded"
    ended = emulator.run(emulator.create_state_machine(task(other)), json.dumps(blocking.event("other")))
    assert json.loads(ended["output"])["Error"] == "Lambda.TooManyRequestsException"

    blocking.finish()
    assert {invocation.result() for invocation in invocations} == {
        (None, str(number)) for number in range(ACCOUNT_CONCURRENCY)
    }
    assert not blocking.has("started", "other")


# --- Cancelled invocations ---


def test_a_started_invocation_continues_after_its_task_timed_out(
    single_worker_emulator: Emulator, blocking: BlockingFunction
) -> None:
    emulator = single_worker_emulator
    machine = emulator.create_state_machine(task(blocking.function))
    ended = emulator.run(machine, json.dumps(blocking.event("abandoned")))
    assert json.loads(ended["output"]) == {"Error": "States.Timeout", "Cause": ""}
    assert not blocking.has("finished", "abandoned")

    blocking.finish()
    assert eventually(lambda: blocking.has("finished", "abandoned"))


def test_a_started_invocation_continues_after_its_execution_timed_out(
    single_worker_emulator: Emulator, blocking: BlockingFunction
) -> None:
    emulator = single_worker_emulator
    machine = emulator.create_state_machine(task(blocking.function, 50, TimeoutSeconds=1))
    response = emulator.run_sync(machine, json.dumps(blocking.event("abandoned")))
    assert (response["status"], response["error"]) == ("TIMED_OUT", "States.Timeout")
    assert not blocking.has("finished", "abandoned")

    blocking.finish()
    assert eventually(lambda: blocking.has("finished", "abandoned"))


def test_an_invocation_that_is_cancelled_before_it_gets_a_worker_never_runs() -> None:
    limit, invocation, ran = WorkerLimit(1), StateInvocation(), list[str]()

    def run(_func: Any, event: str, _request_id: str) -> None:
        ran.append(event)
        if event == "first":
            waiting.append(pool.submit(execute, "second"))
            invocation.cancel()

    def execute(name: str) -> None:
        with invoking(invocation if name == "second" else None):
            limit.execute(run, {"FunctionName": "f"}, name, "")

    waiting = list[Any]()
    with ThreadPoolExecutor(1) as pool:
        execute("first")
    with pytest.raises(InvocationCancelledError):
        waiting[0].result()
    execute("third")
    assert ran == ["first", "third"]


def test_cancelling_an_invocation_does_not_affect_those_that_it_causes() -> None:
    limit, invocation, ran = WorkerLimit(2), StateInvocation(), list[str]()

    def run(_func: Any, event: str, _request_id: str) -> None:
        ran.append(event)
        if event == "first":
            invocation.cancel()
            limit.execute(run, {"FunctionName": "f"}, "caused", "")

    with invoking(invocation):
        limit.execute(run, {"FunctionName": "f"}, "first", "")
    assert ran == ["first", "caused"]


def test_a_timer_stays_paused_until_every_pause_has_ended() -> None:
    timer = Timer(1000)
    with timer.paused():
        before = timer.remaining()
        with timer.paused():
            pass
        assert timer.remaining() == before
    assert timer.remaining() <= before


# --- Event source mappings ---

# The handler runs a state machine for each message, and waits for its end.
CONSUMING = """
import boto3, json

def handler(event, context):
    for record in event["Records"]:
        call = json.loads(record["body"])
        response = boto3.client("stepfunctions").start_sync_execution(**call)
        assert response["status"] == "SUCCEEDED"
"""
BLOCKING_CONSUMER = (
    f"import json\n{BLOCKING.replace('handler', 'block')}"
    + """
def handler(event, context):
    for record in event["Records"]:
        block(json.loads(record["body"]), context)
"""
)


def test_a_mapping_processes_as_many_messages_at_a_time_as_its_maximum_concurrency(
    emulator: Emulator, tmp_path: Path
) -> None:
    url, arn = emulator.create_queue(VisibilityTimeout="60")
    function = emulator.create_function(BLOCKING_CONSUMER, timeout=60)
    emulator.map_queue(arn, function, ScalingConfig={"MaximumConcurrency": 5})
    for number in range(7):
        body = json.dumps({"folder": str(tmp_path), "id": str(number)})
        emulator.client("sqs").send_message(QueueUrl=url, MessageBody=body)

    def started() -> list[str]:
        return sorted(path.name for path in tmp_path.glob("started-*"))

    eventually(lambda: len(started()) == 5)
    # The first message takes longer: the others do not wait for it.
    (tmp_path / "finish-1").touch()
    eventually(lambda: len(started()) == 6)
    (tmp_path / "finish-2").touch()
    eventually(lambda: len(started()) == 7)
    assert not (tmp_path / "finished-0").exists()
    (tmp_path / "finish").touch()
    eventually(lambda: len(list(tmp_path.glob("finished-*"))) == 7)


def test_two_mappings_of_a_function_do_not_share_their_concurrency(
    emulator: Emulator, tmp_path: Path
) -> None:
    function = emulator.create_function(BLOCKING_CONSUMER, timeout=60)
    for name, concurrency, messages in (("busy", 3, 5), ("other", 2, 2)):
        url, arn = emulator.create_queue(VisibilityTimeout="60")
        emulator.map_queue(arn, function, ScalingConfig={"MaximumConcurrency": concurrency})
        for number in range(messages):
            body = json.dumps({"folder": str(tmp_path), "id": f"{name}-{number}"})
            emulator.client("sqs").send_message(QueueUrl=url, MessageBody=body)

    def started(name: str) -> int:
        return len(list(tmp_path.glob(f"started-{name}-*")))

    eventually(lambda: (started("busy"), started("other")) == (3, 2))
    (tmp_path / "finish").touch()
    eventually(lambda: len(list(tmp_path.glob("finished-*"))) == 7)


def test_a_consumer_that_waits_for_executions_does_not_block_their_functions(
    emulator: Emulator, tmp_path: Path
) -> None:
    url, arn = emulator.create_queue(VisibilityTimeout="60")
    emulator.map_queue(
        arn, emulator.create_function(CONSUMING, timeout=60), ScalingConfig={"MaximumConcurrency": 5}
    )
    machine = emulator.create_state_machine(task(emulator.create_function(BLOCKING, timeout=60), 30))
    (tmp_path / "finish").touch()
    for number in range(10):
        text = json.dumps({"folder": str(tmp_path), "id": str(number)})
        body = json.dumps({"stateMachineArn": machine, "input": text})
        emulator.client("sqs").send_message(QueueUrl=url, MessageBody=body)

    eventually(lambda: len(list(tmp_path.glob("finished-*"))) == 10)
