"""DelaySeconds of a message.

On AWS it is at most 900, and in the Parameters of a state it is an integer: anything else is States.Runtime.
The emulator takes every number, also as text.
"""

from collections.abc import Callable
from typing import Any

from ministack.services import sqs, stepfunctions

from devtools.emulator import guard

Json = dict[str, Any]

_LONGEST_SECONDS = 900


def install() -> None:
    """Extend the emulator."""
    guard.wrap(sqs, "_act_send_message", _send)
    guard.wrap_handler(sqs, "_HANDLERS", ["SendMessage"], _send)
    resource = "arn:aws:states:::sqs:sendMessage"
    guard.wrap_handler(stepfunctions, "_SERVICE_DISPATCH", [resource], _send_from_state)


def _send(original: Callable[..., Json], data: Json, qurl: str) -> Json:
    # The query protocol sends numbers as text; the original refuses other text.
    if not 0 <= int(data.get("DelaySeconds") or 0) <= _LONGEST_SECONDS:
        raise sqs._Err(
            "InvalidParameterValue",
            f"Value {data['DelaySeconds']} for parameter DelaySeconds is invalid. "
            f"Reason: DelaySeconds must be >= 0 and <= {_LONGEST_SECONDS}.",
        )
    return original(data, qurl)


def _send_from_state(original: Callable[..., Json], resource: str, input_data: Json) -> Json:
    if type(input_data.get("DelaySeconds", 0)) is not int:
        message = "The value for the field 'DelaySeconds' must be an INTEGER"
        raise stepfunctions._ExecutionError("States.Runtime", message)
    return original(resource, input_data)
