"""Functions of the emulator: errors, workers, log."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from devtools.emulator.tests.harness import Emulator, eventually, unique

FAILING = """
import os

class Unlucky(Exception):
    pass

def handler(event, context):
    if event == "die":
        os._exit(3)
    if event == "stop listening":
        os.close(0)
        return None
    if event == "hang":
        while True:
            pass
    if event is not None:
        raise Unlucky(event)
    return {"pid": os.getpid(), "request": context.aws_request_id}
"""


@pytest.fixture(scope="module")
def failing(emulator: Emulator) -> str:
    return emulator.function(FAILING, timeout=2)


def test_an_exception_keeps_its_class_name(emulator: Emulator, failing: str) -> None:
    kind, error = emulator.invoke(failing, "no luck")
    assert kind == "Unhandled"
    assert error["errorType"] == "Unlucky"
    assert error["errorMessage"] == "no luck"
    assert re.fullmatch("[0-9a-f-]{36}", error["requestId"])
    assert ["raise Unlucky(event)" in frame for frame in error["stackTrace"]] == [True]


@pytest.mark.parametrize("text", ["", 'a "quote"\n{}', "\x00\x1b\u2028", "😀 مرحبا", "{'@@': 1}"])
def test_an_exception_may_say_anything(emulator: Emulator, failing: str, text: str) -> None:
    assert emulator.invoke(failing, text)[1]["errorMessage"] == text


def test_half_a_character_in_an_exception_becomes_a_question_mark(emulator: Emulator, failing: str) -> None:
    assert emulator.invoke(failing, "half \ud83d")[1]["errorMessage"] == "half ?"


def test_the_worker_stays_warm_after_an_exception(emulator: Emulator, failing: str) -> None:
    before = emulator.invoke(failing)[1]["pid"]
    emulator.invoke(failing, "no luck")
    assert emulator.invoke(failing)[1]["pid"] == before


def test_a_worker_that_dies_is_an_exit_error(emulator: Emulator, failing: str) -> None:
    kind, error = emulator.invoke(failing, "die")
    assert (kind, error["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert emulator.invoke(failing)[0] is None


def test_a_worker_that_cannot_be_reached_any_more_is_an_exit_error(emulator: Emulator, failing: str) -> None:
    emulator.invoke(failing, "stop listening")
    kind, error = emulator.invoke(failing)
    assert (kind, error["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert emulator.invoke(failing)[0] is None


def test_a_function_that_hangs_is_timed_out(emulator: Emulator, failing: str) -> None:
    kind, error = emulator.invoke(failing, "hang")
    assert (kind, error["errorType"]) == ("Unhandled", "Sandbox.Timedout")


def test_a_result_that_looks_like_an_error_stays_a_result(emulator: Emulator) -> None:
    result = {"errorType": "Runtime.HandlerError", "errorMessage": "Worker process died"}
    function = emulator.function(f"def handler(event, context):\n    return {result}")
    assert emulator.invoke(function) == (None, result)


def test_concurrent_invocations_share_at_most_the_allowed_workers(emulator: Emulator) -> None:
    function = emulator.function(
        "import os, time\ndef handler(event, context):\n    time.sleep(0.1)\n    return os.getpid()"
    )
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: emulator.invoke(function), range(12)))
    assert {kind for kind, _pid in answers} == {None}
    assert len({pid for _kind, pid in answers}) == 3


def test_what_a_function_logs_is_appended_to_the_file_line_by_line(emulator: Emulator) -> None:
    line = json.dumps({"message": "héllo 😀", "level": "INFO"})
    function = emulator.function(f"def handler(event, context):\n    print({line!r})\n    print('two')")
    emulator.invoke(function)
    assert eventually(lambda: [line, "two"] == emulator.log.read_text().splitlines()[-2:])


def test_a_line_that_is_not_ended_is_logged_with_its_invocation(emulator: Emulator) -> None:
    function = emulator.function("def handler(event, context):\n    print(event, end='')")
    for event in ("first", "second"):
        emulator.invoke(function, event)
        assert emulator.log.read_text().splitlines()[-1] == event


def test_a_function_that_closes_its_log_stays_warm(emulator: Emulator) -> None:
    function = emulator.function(
        "import os\ndef handler(event, context):\n    os.close(2) if event else None\n    return os.getpid()"
    )
    pids = {emulator.invoke(function, event)[1] for event in (False, True, False)}
    assert len(pids) == 1


def test_an_exception_is_logged(emulator: Emulator, failing: str) -> None:
    emulator.invoke(failing, "no luck at all")
    assert eventually(lambda: "[ERROR] Unlucky: no luck at all\n" in emulator.log.read_text())


def test_functions_that_share_a_log_group_have_streams_of_their_own_names(emulator: Emulator) -> None:
    group = unique("/aws/lambda/shared")
    logs = emulator.client("logs")
    logs.create_log_group(logGroupName=group)
    source = "def handler(event, context):\n    print(event)"
    functions = [emulator.function(source, LoggingConfig={"LogGroup": group}) for _ in range(2)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda function: emulator.invoke(function, function), functions * 4))

    streams = [s["logStreamName"] for s in logs.describe_log_streams(logGroupName=group)["logStreams"]]
    assert len(streams) == 8
    for stream in streams:
        (function,) = [name for name in functions if f"/{name}[" in stream]
        assert re.fullmatch(rf"\d{{4}}/\d\d/\d\d/{function}\[\$LATEST]\w+", stream)
        events = logs.get_log_events(logGroupName=group, logStreamName=stream)["events"]
        assert function in [event["message"] for event in events]


def test_a_functions_own_log_group_has_streams_without_its_name(emulator: Emulator) -> None:
    function = emulator.function("def handler(event, context):\n    pass")
    emulator.invoke(function)
    streams = emulator.client("logs").describe_log_streams(logGroupName=f"/aws/lambda/{function}")
    (stream,) = streams["logStreams"]
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST]\w+", stream["logStreamName"])
