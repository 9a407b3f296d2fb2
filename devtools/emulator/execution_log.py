"""The history of executions in CloudWatch Logs.

AWS writes every history event of an execution to the log group in its state machine's `loggingConfiguration`.
An EXPRESS execution has no other history; the console draws its graph from these lines. The emulator stores
the configuration and writes nothing. This module writes the lines in AWS's format:

- all scalars are strings; `details.input` and `details.output` are strings of JSON;
- an input or output of more than MAX_PAYLOAD bytes is truncated (`inputDetails.truncated`), and without
  `includeExecutionData` both are omitted, as are a task's parameters;
- level ERROR logs errors only, FATAL only how an execution ended that did not succeed, OFF nothing;
- the first two events have the `previous_event_id` 0, every other event the id of the event before it;
- no event follows the one that ended the execution, although the emulator lets a stopped execution finish its
  current state.

The executions of a state machine share log streams, here one for each minute:
`states/{machine}/{minute}/{id}`. As on AWS, a line that cannot be written does not make the execution fail.

Source: https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
"""

import json
import logging
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

from ministack.services import stepfunctions

from devtools.emulator import patch
from devtools.emulator.log_events import put_log_event

Json = dict[str, Any]

MAX_PAYLOAD = 248 * 1024

_FATAL = {"ExecutionAborted", "ExecutionFailed", "ExecutionTimedOut"}
_ERROR = {*_FATAL, "FailStateEntered", "TaskFailed", "TaskTimedOut"}
_END = {*_FATAL, "ExecutionSucceeded"}
_INTEGRATION = re.compile(r"arn:[^:]+:states:::(.+):([^:]+)")

logger = logging.getLogger(__name__)


def install() -> None:
    """Extend the emulator."""
    patch.wrap(stepfunctions, "_run_execution", _run_execution)
    patch.wrap(stepfunctions, "_add_event", _add_event)


def _run_execution(original: Callable[..., None], exec_arn: str) -> None:
    execution = stepfunctions._executions.get(exec_arn)
    if execution:
        _log(execution, execution["events"][0])  # ExecutionStarted is not added by _add_event.
    original(exec_arn)


def _add_event(original: Callable[..., Json], execution: Json, event_type: str, details: Any = None) -> Json:
    event = original(execution, event_type, details)
    _log(execution, event)
    return event


def _log(execution: Json, event: Json) -> None:
    try:
        # A child execution of a distributed map has no state machine of its own.
        machine = stepfunctions._state_machines.get(execution["stateMachineArn"])
        if machine is None:
            return
        configuration = _in_camel_case(machine["loggingConfiguration"])
        if _is_logged(configuration.get("level"), event["type"]) and not _ended_before(execution, event):
            line = _line(execution, event, with_data=configuration.get("includeExecutionData", False))
            message = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
            timestamp = int(line["event_timestamp"])
            put_log_event(_group_arn(configuration), _stream(machine, timestamp), timestamp, message)
    except Exception:
        logger.exception("%s of %s could not be logged", event["type"], execution["executionArn"])


def _in_camel_case(node: Any) -> Any:
    """The configuration with the API's names (`level`); the emulator keeps CloudFormation's (`Level`)."""
    if isinstance(node, list):
        return [_in_camel_case(item) for item in node]
    if isinstance(node, dict):
        return {name[0].lower() + name[1:]: _in_camel_case(value) for name, value in node.items()}
    return node


def _is_logged(level: str | None, event_type: str) -> bool:
    match level:
        case "ALL":
            return True
        case "ERROR":
            return event_type in _ERROR
        case "FATAL":
            return event_type in _FATAL
    return False


def _ended_before(execution: Json, event: Json) -> bool:
    return any(other["type"] in _END for other in execution["events"] if other is not event)


# --- Log group and stream ---


def _group_arn(configuration: Json) -> str:
    (destination,) = configuration["destinations"]
    return str(destination["cloudWatchLogsLogGroup"]["logGroupArn"])


def _stream(machine: Json, timestamp: int) -> str:
    minute = f"{datetime.fromtimestamp(timestamp / 1000, UTC):%Y-%m-%d-%H-%M}"
    return f"states/{machine['name']}/{minute}/{crc32(minute.encode()):08x}"


# --- The log line ---


def _line(execution: Json, event: Json, *, with_data: bool) -> Json:
    number = event["id"]
    details: Json = next((value for key, value in event.items() if key.endswith("EventDetails")), {})
    return {
        "id": str(number),
        "type": event["type"],
        "details": _details(details, with_data=with_data),
        "previous_event_id": str(number - 1 if number > 2 else 0),
        "event_timestamp": str(stepfunctions._iso_to_epoch_ms(event["timestamp"])),
        "execution_arn": execution["executionArn"],
        "redrive_count": "0",
    }


def _details(details: Mapping[str, Any], *, with_data: bool) -> Json:
    logged: Json = {}
    for name, value in sorted(details.items()):
        if name in ("input", "output"):
            if with_data:
                text = _truncated(value)
                logged |= {name: text, f"{name}Details": {"truncated": text != value}}
        elif name == "parameters":
            if with_data:
                logged[name] = _truncated(value)
        elif value:
            logged[name] = str(value)
    integration = _INTEGRATION.fullmatch(details.get("resource", ""))
    if integration:  # AWS logs arn:aws:states:::sns:publish as two values, "sns" and "publish".
        logged |= {"resource": integration[2], "resourceType": integration[1]}
    return logged


def _truncated(payload: str) -> str:
    """The beginning of a payload that takes at most MAX_PAYLOAD bytes once it is escaped for the line."""
    if _size(payload) <= MAX_PAYLOAD:
        return payload
    lengths = range(len(payload) + 1)
    return payload[: bisect_right(lengths, MAX_PAYLOAD, key=lambda length: _size(payload[:length])) - 1]


def _size(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode(errors="replace")) - len('""')
