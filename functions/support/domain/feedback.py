"""The rule for changing feedback."""

from datetime import datetime, timedelta

from support.domain.refusals import FeedbackClosed
from support.domain.ticket_types import Feedback

CHANGEABLE_FOR = timedelta(days=7)


def replacement(previous: Feedback, new: Feedback) -> Feedback:
    """The new feedback as the replacement of the previous one; keeps the time of the first feedback.

    Raises:
        FeedbackClosed: the first feedback was given more than seven days ago.
    """
    first_given = datetime.fromisoformat(previous["givenAt"])
    if datetime.fromisoformat(new["givenAt"]) - first_given > CHANGEABLE_FOR:
        raise FeedbackClosed(f"The feedback was given more than {CHANGEABLE_FOR.days} days ago.")
    return new | {"givenAt": previous["givenAt"], "changedAt": new["givenAt"]}
