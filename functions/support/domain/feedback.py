"""What a customer says about how a ticket was handled."""

from datetime import datetime, timedelta

from support.domain.plain_text import readable
from support.domain.refusals import FeedbackClosed
from support.domain.request_fields import parse_object, text, whole_number
from support.domain.ticket import Feedback, timestamp

MAX_COMMENT = 1_000
CHANGEABLE_FOR = timedelta(days=7)


def given(body: str | None, now: datetime) -> Feedback:
    """The feedback in a request's body.

    Raises:
        InvalidRequest: it is none; the message names the field.
    """
    document = parse_object(body, ("rating", "comment"))
    feedback: Feedback = {"rating": whole_number(document, "rating", 1, 5), "givenAt": timestamp(now)}
    comment = readable(text(document, "comment", 1, MAX_COMMENT) or "")
    return feedback | {"comment": comment} if comment else feedback


def changed(earlier: Feedback, new: Feedback) -> Feedback:
    """The new feedback in the place of the earlier one.

    Raises:
        FeedbackClosed: the earlier one was given more than seven days before.
    """
    given_at = datetime.fromisoformat(earlier["givenAt"])
    if datetime.fromisoformat(new["givenAt"]) - given_at > CHANGEABLE_FOR:
        raise FeedbackClosed(f"It was given more than {CHANGEABLE_FOR.days} days ago.")
    return new | {"givenAt": earlier["givenAt"], "changedAt": new["givenAt"]}
