"""The history of executions in CloudWatch Logs.

AWS writes every history event of an execution to the log group of its state machine's `loggingConfiguration`.
For EXPRESS these lines are the only history there is; the console's visual inspection is drawn from them. The
emulator stores the configuration and writes nothing. This module writes the lines in AWS's form:

- all scalars are strings, `details.input` and `details.output` are JSON in a string;
- an input or output of more than MAX_PAYLOAD bytes is cut (`inputDetails.truncated`), and both are left out
  without `includeExecutionData`;
- level ERROR logs errors only, FATAL only an execution that did not succeed, OFF nothing;
- the first two events have the `previous_event_id` 0, each of the others the id of the one before;
- nothing follows the event that ended the execution, though the emulator lets a stopped one finish its state.

The events are those of the emulator's history: it has no TaskStarted, and a task's time-out is a TaskFailed.

AWS shares a stream between executions. Here each has its own, `states/{machine}/{minute}/{id}`: events that
arrive out of order in a shared one are costly. As on AWS a line that cannot be written fails nothing.
"""

import json
import logging
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping
from typing import Any

from ministack.services import cloudwatch_logs, stepfunctions

from devtools.emulator import guard

Json = dict[str, Any]

MAX_PAYLOAD = 248 * 1024

_FATAL = {"ExecutionAborted", "ExecutionFailed", "ExecutionTimedOut"}
_ERROR = {*_FATAL, "FailStateEntered", "TaskFailed"}
_END = {*_FATAL, "ExecutionSucceeded"}
_INTEGRATION = re.compile(r"arn:[^:]+:states:::(.+):([^:]+)")

logger = logging.getLogger(__name__)


def install() -> None:
    """Extend the emulator."""
    guard.wrap(stepfunctions, "_run_execution", _run_execution)
    guard.wrap(stepfunctions, "_add_event", _add_event)


def _run_execution(original: Callable[..., None], exec_arn: str) -> None:
    execution = stepfunctions._executions.get(exec_arn)
    if execution:
        _log(execution, execution["events"][0])  # ExecutionStarted: the only event that nothing adds
    original(exec_arn)


def _add_event(original: Callable[..., Json], execution: Json, event_type: str, details: Any = None) -> Json:
    event = original(execution, event_type, details)
    _log(execution, event)
    return event


def _log(execution: Json, event: Json) -> None:
    try:
        # The child of a distributed map has no machine of its own.
        machine = stepfunctions._state_machines.get(execution["stateMachineArn"])
        if machine is None:
            return
        configuration = _api_names(machine["loggingConfiguration"])
        if _is_logged(configuration.get("level"), event["type"]) and not _ended_before(execution, event):
            line = _line(execution, event, with_data=configuration.get("includeExecutionData", False))
            _put(_group(configuration), _stream(machine, execution), line)
    except Exception:
        logger.exception("%s of %s is not in the execution's log", event["type"], execution["executionArn"])


def _api_names(node: Any) -> Any:
    """A configuration with the API's names (`level`): CloudFormation's (`Level`) are stored as they are."""
    if isinstance(node, list):
        return [_api_names(item) for item in node]
    if isinstance(node, dict):
        return {name[0].lower() + name[1:]: _api_names(member) for name, member in node.items()}
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


# --- Where a line goes ---


def _group(configuration: Json) -> str:
    """The name of the log group: its ARN is `arn:aws:logs:{region}:{account}:log-group:{name}:*`."""
    (destination,) = configuration["destinations"]
    arn: str = destination["cloudWatchLogsLogGroup"]["logGroupArn"]
    return arn.split(":")[6]


def _stream(machine: Json, execution: Json) -> str:
    minute = re.sub("[T:]", "-", execution["startDate"][: len("2026-01-31T23:59")])
    return f"states/{machine['name']}/{minute}/{execution['executionArn'].rpartition(':')[2]}"


def _put(group: str, stream: str, line: Json) -> None:
    target = {"logGroupName": group, "logStreamName": stream}
    cloudwatch_logs._create_log_stream(target)  # refused, when it is there already
    message = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
    # Half a surrogate pair has no UTF-8.
    message = message.encode(errors="replace").decode()
    event = {"timestamp": int(line["event_timestamp"]), "message": message}
    status, _headers, body = cloudwatch_logs._put_log_events({**target, "logEvents": [event]})
    if status >= 400:
        raise RuntimeError(json.loads(body)["message"])


# --- The line ---


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
                text = _cut(value)
                logged |= {name: text, f"{name}Details": {"truncated": text != value}}
        elif value:
            logged[name] = str(value)
    integration = _INTEGRATION.fullmatch(details.get("resource", ""))
    if integration:  # AWS logs arn:aws:states:::sns:publish in two parts
        logged |= {"resource": integration[2], "resourceType": integration[1]}
    return logged


def _cut(payload: str) -> str:
    """As much of a payload as takes at most MAX_PAYLOAD bytes in the line, where it is escaped."""
    if _size(payload) <= MAX_PAYLOAD:
        return payload
    lengths = range(len(payload) + 1)
    return payload[: bisect_right(lengths, MAX_PAYLOAD, key=lambda length: _size(payload[:length])) - 1]


def _size(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode(errors="replace")) - len('""')
