"""SQS: permissions of batch calls, and the delay of a message.

On AWS

- `sqs:SendMessage`, `sqs:DeleteMessage` and `sqs:ChangeMessageVisibility` also allow the batch calls, which
  have no permissions of their own. The emulator requires a permission with the name of the batch call;
- DelaySeconds is at most 900, and must be an integer in the Parameters of a state (otherwise States.Runtime).
  The emulator accepts any number, even as a string.

Source: SQS API reference, AddPermission and SendMessage.
"""

from collections.abc import Callable
from typing import Any

from ministack.core import iam_actions
from ministack.services import sqs, stepfunctions

from devtools.emulator import patch

Json = dict[str, Any]

_MAX_DELAY_SECONDS = 900


def install() -> None:
    """Extend the emulator."""
    patch.wrap(iam_actions, "extract_iam_action", _extract_iam_action)
    patch.wrap(sqs, "_act_send_message", _send)
    patch.wrap_handler(sqs, "_HANDLERS", ["SendMessage"], _send)
    resource = "arn:aws:states:::sqs:sendMessage"
    patch.wrap_handler(stepfunctions, "_SERVICE_DISPATCH", [resource], _send_from_state)


def _extract_iam_action(
    original: Callable[..., str | None], service: str, *args: Any, **kwargs: Any
) -> str | None:
    """The action that the caller must be allowed; None for a call that needs no permission."""
    action = original(service, *args, **kwargs)
    return action.removesuffix("Batch") if action and service == "sqs" else action


def _send(original: Callable[..., Json], data: Json, qurl: str) -> Json:
    # The query protocol sends numbers as strings; the original refuses strings that are not numbers.
    if not 0 <= int(data.get("DelaySeconds") or 0) <= _MAX_DELAY_SECONDS:
        raise sqs._Err(
            "InvalidParameterValue",
            f"Value {data['DelaySeconds']} for parameter DelaySeconds is invalid. "
            f"Reason: DelaySeconds must be >= 0 and <= {_MAX_DELAY_SECONDS}.",
        )
    return original(data, qurl)


def _send_from_state(original: Callable[..., Json], resource: str, input_data: Json) -> Json:
    if type(input_data.get("DelaySeconds", 0)) is not int:
        message = "The value for the field 'DelaySeconds' must be an INTEGER"
        raise stepfunctions._ExecutionError("States.Runtime", message)
    return original(resource, input_data)
