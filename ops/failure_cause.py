"""The cause of a failure, where it cannot contain a customer's words."""

import json

from ops.formatting import one_line
from support.domain.errors import PermanentError, TransientError

MAX_CAUSE = 300

_WITHHELD = "not shown, because it may quote the customer: agents see it in GET /tickets/{ticketId}"
# Errors whose causes are written by the pipeline, or by AWS about the function and not about its input.
_SAFE_ERRORS = {
    *(error.__name__ for parent in (TransientError, PermanentError) for error in parent.__subclasses__()),
    "WaitedTooLong",
    "TicketUnreadable",
    "Runtime.ExitError",
    "Sandbox.Timedout",
    "States.Timeout",
}
_SAFE_PREFIX = "Lambda."


def readable_cause(error: str, cause: str) -> str:
    """The cause in one line, at most MAX_CAUSE characters.

    The cause of another error, such as `KeyError` or `States.Runtime`, may quote the ticket and is withheld.
    """
    if error not in _SAFE_ERRORS and not error.startswith(_SAFE_PREFIX):
        return _WITHHELD
    return one_line(_error_message(cause))[:MAX_CAUSE] or "unknown"


def _error_message(cause: str) -> str:
    """The error message in Lambda's JSON; the cause itself if it does not come from Lambda."""
    try:
        return str(json.loads(cause)["errorMessage"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return cause
