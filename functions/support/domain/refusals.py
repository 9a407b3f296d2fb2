"""The reasons for which the API refuses a request, in the caller's terms.

Refusals are not faults: the API understood the request and does not do what it asks for.
"""


class Refusal(Exception):
    """The request is refused. The caller sees the message, which says what to do instead."""


class InvalidRequest(Refusal):
    """A parameter or the body does not conform to the contract."""


class Forbidden(Refusal):
    """The caller's role does not allow this."""


class NotFound(Refusal):
    """The ticket does not exist or belongs to another customer; the caller cannot tell which."""

    def __init__(self) -> None:
        super().__init__("There is no such ticket, or it is not yours.")


class VersionConflict(Refusal):
    """The ticket has changed since the caller read it."""

    def __init__(self) -> None:
        super().__init__("Read the ticket again and send the change with its current version.")


class TransitionNotAllowed(Refusal):
    """The requested status does not follow the ticket's current one."""


class NotAnalysed(Refusal):
    """The ticket has no analysis to correct, or no draft to approve."""


class NothingToReplay(Refusal):
    """The ticket is processed or being processed."""


class FeedbackClosed(Refusal):
    """The feedback was given too long ago to be changed."""
