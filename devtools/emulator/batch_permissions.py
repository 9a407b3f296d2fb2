"""Permissions of SQS's batch calls.

On AWS there is no permission for batch calls: `sqs:DeleteMessage` also allows DeleteMessageBatch, and the
same holds for SendMessage and ChangeMessageVisibility. The emulator requires the name of the call.
"""

from collections.abc import Callable
from typing import Any

from ministack.core import iam_actions

from devtools.emulator import guard


def install() -> None:
    """Extend the emulator."""
    guard.wrap(iam_actions, "extract_iam_action", _extract_iam_action)


def _extract_iam_action(
    original: Callable[..., str | None], service: str, *arguments: Any, **named: Any
) -> str | None:
    """The action that the caller must be allowed; None for a call that needs no permission."""
    action = original(service, *arguments, **named)
    return action.removesuffix("Batch") if action and service == "sqs" else action
