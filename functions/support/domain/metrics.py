"""The metrics of all functions; docs/metrics.md explains each of them.

CloudWatch bills every combination of a metric and its dimensions' values, so each dimension has a closed list
of values. All metrics also have the dimensions `service` and `Stage`.
"""

from typing import NamedTuple


class Metric(NamedTuple):
    """A metric, recorded once for each dimension in `by`; an empty name stands for no further dimension."""

    name: str
    unit: str = "Count"
    by: tuple[str, ...] = ("",)


TICKETS_RECEIVED = Metric("TicketsReceived")
TICKETS_DUPLICATED = Metric("TicketsDuplicated")
TICKETS_PROCESSED = Metric("TicketsProcessed", by=("", "Urgency", "Category", "Language"))
TIME_TO_PROCESSED = Metric("TimeToProcessed", "Milliseconds")
NEEDS_REVIEW = Metric("NeedsReview")
TICKETS_NOTIFIED = Metric("TicketsNotified")
TIME_TO_NOTIFIED = Metric("TimeToNotified", "Milliseconds")
TICKETS_FAILED = Metric("TicketsFailed")
TICKETS_DEFERRED = Metric("TicketsDeferred")

TASK_SUCCEEDED = Metric("TaskSucceeded", by=("Step",))
TASK_FAILED = Metric("TaskFailed", by=("Step", "Error"))

MODEL_CALLS = Metric("ModelCalls")
# 1 for a call without a valid answer, except a throttled one, otherwise 0: the average is the error rate.
MODEL_ERRORS = Metric("ModelErrors")
MODEL_LATENCY = Metric("ModelLatency", "Milliseconds")
INPUT_TOKENS = Metric("InputTokens")
OUTPUT_TOKENS = Metric("OutputTokens")
# In USD, for which CloudWatch has no unit.
MODEL_COST = Metric("ModelCost", "None")
FALLBACK_ANSWERS = Metric("FallbackAnswers")
FALLBACK_REJECTED = Metric("FallbackRejected")

TICKETS_WAITING = Metric("TicketsWaiting")
OLDEST_TICKET_WAITING = Metric("OldestTicketWaiting", "Seconds")
TICKETS_RESUMED = Metric("TicketsResumed")
TICKETS_REPLAYED = Metric("TicketsReplayed")
TICKETS_GIVEN_UP = Metric("TicketsGivenUp")
TICKETS_SWEPT = Metric("TicketsSwept")
TICKETS_SET_ASIDE = Metric("TicketsSetAside")
SWEEP_FAULTS = Metric("SweepFaults")
SWEEPS_UNAVAILABLE = Metric("SweepsUnavailable")

MAIL_SUBSCRIPTIONS = Metric("MailSubscriptions", by=("Topic",))

CORRECTIONS = Metric("Corrections", by=("Field",))
FEEDBACK_RATING = Metric("FeedbackRating", "None")
REQUESTS_REFUSED = Metric("RequestsRefused", by=("Reason",))

# The values of `Language` besides OTHER; regions and scripts do not count.
LANGUAGES = frozenset({"ar", "de", "en", "es", "fr", "hi", "it", "ja", "pt", "zh"})
OTHER = "other"
# The value of `Error` for an exception that is not in support.domain.errors.
UNEXPECTED = "Unexpected"


def language_value(tag: str) -> str:
    """The value of `Language` for a language tag, such as `pt` for `pt-BR`."""
    language = tag.partition("-")[0]
    return language if language in LANGUAGES else OTHER
