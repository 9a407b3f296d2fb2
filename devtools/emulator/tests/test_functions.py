"""Functions: errors, workers, log."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from devtools.emulator.tests.harness import Emulator, eventually, unique

FAILING = """
import os

class Failed(Exception):
    pass

def handler(event, context):
    if event == "die":
        os._exit(3)
    if event == "close stdin":
        os.close(0)
        return None
    if event == "hang":
        while True:
            pass
    if event is not None:
        raise Failed(event)
    return {"pid": os.getpid(), "request": context.aws_request_id}
"""


@pytest.fixture(scope="module")
def failing(emulator: Emulator) -> str:
    return emulator.create_function(FAILING, timeout=2)


def test_an_exception_keeps_its_class_name(emulator: Emulator, failing: str) -> None:
    kind, error = emulator.invoke(failing, "an error")
    assert kind == "Unhandled"
    assert error["errorType"] == "Failed"
    assert error["errorMessage"] == "an error"
    assert re.fullmatch("[0-9a-f-]{36}", error["requestId"])
    assert ["raise Failed(event)" in frame for frame in error["stackTrace"]] == [True]


@pytest.mark.parametrize("text", ["", 'a "quote"\n{}', "\x00\x1b\u2028", "😀 مرحبا", "{'@@': 1}"])
def test_the_message_of_an_exception_may_be_any_text(emulator: Emulator, failing: str, text: str) -> None:
    assert emulator.invoke(failing, text)[1]["errorMessage"] == text


def test_half_of_a_surrogate_pair_in_an_exception_becomes_a_question_mark(
    emulator: Emulator, failing: str
) -> None:
    assert emulator.invoke(failing, "half \ud83d")[1]["errorMessage"] == "half ?"


def test_the_worker_stays_warm_after_an_exception(emulator: Emulator, failing: str) -> None:
    before = emulator.invoke(failing)[1]["pid"]
    emulator.invoke(failing, "an error")
    assert emulator.invoke(failing)[1]["pid"] == before


def test_a_worker_that_dies_is_an_exit_error(emulator: Emulator, failing: str) -> None:
    kind, error = emulator.invoke(failing, "die")
    assert (kind, error["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert emulator.invoke(failing)[0] is None


def test_a_worker_that_no_longer_reads_its_input_is_an_exit_error(emulator: Emulator, failing: str) -> None:
    emulator.invoke(failing, "close stdin")
    kind, error = emulator.invoke(failing)
    assert (kind, error["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert emulator.invoke(failing)[0] is None


def test_a_function_that_hangs_times_out(emulator: Emulator, failing: str) -> None:
    kind, error = emulator.invoke(failing, "hang")
    assert (kind, error["errorType"]) == ("Unhandled", "Sandbox.Timedout")


def test_a_result_that_looks_like_an_error_is_a_result(emulator: Emulator) -> None:
    result = {"errorType": "Runtime.HandlerError", "errorMessage": "Worker process died"}
    function = emulator.create_function(f"def handler(event, context):\n    return {result}")
    assert emulator.invoke(function) == (None, result)


def test_concurrent_invocations_use_at_most_the_allowed_workers(emulator: Emulator) -> None:
    function = emulator.create_function(
        "import os, time\ndef handler(event, context):\n    time.sleep(0.1)\n    return os.getpid()"
    )
    with ThreadPoolExecutor(12) as pool:
        results = list(pool.map(lambda _: emulator.invoke(function), range(12)))
    assert {kind for kind, _pid in results} == {None}
    assert len({pid for _kind, pid in results}) == 3


def test_the_lines_that_a_function_logs_are_appended_to_the_file(emulator: Emulator) -> None:
    line = json.dumps({"message": "héllo 😀", "level": "INFO"})
    function = emulator.create_function(
        f"def handler(event, context):\n    print({line!r})\n    print('two')"
    )
    emulator.invoke(function)
    assert eventually(lambda: [line, "two"] == emulator.function_log.read_text().splitlines()[-2:])


def test_a_line_without_a_line_break_is_logged_with_its_invocation(emulator: Emulator) -> None:
    function = emulator.create_function("def handler(event, context):\n    print(event, end='')")
    for event in ("first", "second"):
        emulator.invoke(function, event)
        assert emulator.function_log.read_text().splitlines()[-1] == event


def test_a_worker_whose_handler_closes_stderr_stays_warm(emulator: Emulator) -> None:
    function = emulator.create_function(
        "import os\ndef handler(event, context):\n    os.close(2) if event else None\n    return os.getpid()"
    )
    pids = {emulator.invoke(function, event)[1] for event in (False, True, False)}
    assert len(pids) == 1


def test_an_exception_is_logged(emulator: Emulator, failing: str) -> None:
    emulator.invoke(failing, "a logged error")
    assert eventually(lambda: "[ERROR] Failed: a logged error\n" in emulator.function_log.read_text())


def test_the_streams_of_a_shared_log_group_have_the_names_of_the_functions(emulator: Emulator) -> None:
    group = unique("/aws/lambda/shared")
    logs = emulator.client("logs")
    logs.create_log_group(logGroupName=group)
    source = "def handler(event, context):\n    print(event)"
    functions = [emulator.create_function(source, LoggingConfig={"LogGroup": group}) for _ in range(2)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda function: emulator.invoke(function, function), functions * 4))

    streams = [
        stream["logStreamName"] for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]
    ]
    assert len(streams) == 8
    for stream in streams:
        (function,) = [name for name in functions if f"/{name}[" in stream]
        assert re.fullmatch(rf"\d{{4}}/\d\d/\d\d/{function}\[\$LATEST]\w+", stream)
        events = logs.get_log_events(logGroupName=group, logStreamName=stream)["events"]
        assert function in [event["message"] for event in events]


def test_the_streams_of_a_functions_own_log_group_do_not_have_its_name(emulator: Emulator) -> None:
    function = emulator.create_function("def handler(event, context):\n    pass")
    emulator.invoke(function)
    streams = emulator.client("logs").describe_log_streams(logGroupName=f"/aws/lambda/{function}")
    (stream,) = streams["logStreams"]
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST]\w+", stream["logStreamName"])


def test_reserved_concurrency_applies_to_versions(emulator: Emulator) -> None:
    client = emulator.client("lambda")
    function = emulator.create_function("def handler(event, context):\n    return 1")
    version = client.publish_version(FunctionName=function)["Version"]
    client.create_alias(FunctionName=function, Name="live", FunctionVersion=version)
    client.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)

    for name in (function, f"{function}:{version}", f"{function}:live"):
        with pytest.raises(client.exceptions.TooManyRequestsException):
            client.invoke(FunctionName=name)

    client.delete_function_concurrency(FunctionName=function)
    assert emulator.invoke(f"{function}:live") == (None, 1)
