"""The types of a ticket's fields."""

from enum import StrEnum
from typing import Literal, NotRequired, TypedDict


class Status(StrEnum):
    """The status of a ticket: RECEIVED → PROCESSED → IN_PROGRESS → COMPLETED, or FAILED."""

    RECEIVED = "RECEIVED"
    PROCESSED = "PROCESSED"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class ModelCall(TypedDict):
    """The model call that produced an analysis; tokens and milliseconds as Bedrock reports them."""

    id: str
    promptVersion: str
    inputTokens: int
    outputTokens: int
    latencyMs: int


class Analysis(TypedDict):
    """The model's answer, as analysis.schema.json describes it, and what the code adds."""

    urgency: str
    category: str
    sentiment: str
    language: str
    summary: str
    response: str
    tags: list[str]
    confidence: float
    needsReview: bool
    model: ModelCall
    generatedAt: str


class Reply(TypedDict):
    """The reply that the customer sees: who wrote it, and when it was generated or approved.

    `approvedBy` is the `sub` of the agent who approved it; a draft that is shown without approval has none.
    """

    text: str
    origin: Literal["model", "agent"]
    at: str
    approvedBy: NotRequired[str]


class Failure(TypedDict):
    """Why the last execution failed."""

    error: str
    cause: str
    failedAt: str


class Dismissal(TypedDict):
    """An operator's decision not to replay a failed ticket: the operator's ARN, the time and the reason."""

    by: str
    at: str
    reason: str


class Feedback(TypedDict):
    """The customer's rating of how the ticket was handled: 1 to 5, where 5 is best."""

    rating: int
    comment: NotRequired[str]
    givenAt: str
    changedAt: NotRequired[str]


class Attempt(TypedDict):
    """The end of one execution: its name, and PROCESSED or the error with which it failed."""

    execution: str
    outcome: str
    endedAt: str
