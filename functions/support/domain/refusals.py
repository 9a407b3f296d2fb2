"""What the ticket endpoints refuse, in the caller's terms.

Unlike the pipeline's errors these are no faults: the request was understood, and the answer is no.
"""


class Refusal(Exception):
    """The request is refused; the message says what to do instead, and is shown to the caller."""


class InvalidRequest(Refusal):
    """A parameter or the body does not have the form that the contract asks for."""


class Forbidden(Refusal):
    """The caller's role does not allow this."""


class NotFound(Refusal):
    """There is no such ticket, or it is not the caller's: the answer does not say which."""

    def __init__(self) -> None:
        super().__init__("There is no such ticket, or it is not yours.")


class VersionConflict(Refusal):
    """The ticket has changed since the caller read it."""

    def __init__(self) -> None:
        super().__init__("Read the ticket again, and send the change with its present version.")


class TransitionNotAllowed(Refusal):
    """The ticket's status is not followed by the one asked for."""


class NotAnalysed(Refusal):
    """The ticket has no analysis that could be corrected."""


class NothingToReplay(Refusal):
    """The ticket is processed, or being processed."""


class FeedbackClosed(Refusal):
    """The feedback was given too long ago to be changed."""
