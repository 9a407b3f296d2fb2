"""The tickets table: every write is conditional, so that a repeated or late execution does no harm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from support.aws.errors import translated
from support.aws.items import to_document, to_item
from support.domain.errors import StoreRejected, StoreUnavailable, TicketNotFound
from support.domain.ticket import Analysis, Attempt, Failure, Feedback, Status, Ticket, timestamp

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from support.domain.change import Change


class TicketTable:
    """Tickets in DynamoDB, by ticket id.

    Every method raises StoreUnavailable when a repeat may succeed, and StoreRejected when it cannot.
    """

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self._client = client
        self._name = name

    def get(self, ticket_id: str) -> Ticket | None:
        """The ticket as last written, or None."""
        with _translated():
            answer = self._client.get_item(TableName=self._name, Key=_key(ticket_id), ConsistentRead=True)
        return _ticket(answer["Item"]) if "Item" in answer else None

    def find(self, submitted: Ticket) -> Ticket | None:
        """The stored ticket of a submission, under its id or the one derived from it; None for none."""
        while (known := self.get(submitted.ticket_id)) and not known.is_same_submission_as(submitted):
            submitted = submitted.under_derived_id()
        return known

    def find_or_add(self, submitted: Ticket) -> tuple[Ticket, bool]:
        """The stored ticket of a submission, and whether it is new.

        Where another submission's ticket has the id, this one's is added under the id derived from it.
        """
        while (known := self.add(submitted)) and not known.is_same_submission_as(submitted):
            submitted = submitted.under_derived_id()
        return known or submitted, known is None

    def add(self, ticket: Ticket) -> Ticket | None:
        """Add a new ticket: None when it was added, else the ticket that is stored under its id."""
        try:
            with _translated():
                self._client.put_item(
                    TableName=self._name,
                    Item=to_item(ticket.to_document()),
                    ConditionExpression="attribute_not_exists(ticketId)",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
        except _ConditionFailedError as failed:
            return failed.ticket()
        return None

    def store(self, submitted: Ticket, now: datetime, *, execution: str) -> Ticket:
        """Add a submission's ticket, or return the one that an earlier execution stored.

        A FAILED one is reopened, unless it is this execution that failed: then the call is a late repeat.
        """
        ticket, _ = self.find_or_add(submitted)
        is_reopened = ticket.status is Status.FAILED and not ticket.was_ended_by(execution)
        return self._reopened(ticket, now) if is_reopened else ticket

    def record_analysis(self, ticket_id: str, analysis: Analysis, *, execution: str, now: datetime) -> Ticket:
        """Make the ticket PROCESSED, or return it as it is when another execution already has.

        A success also replaces the FAILED that a parallel execution of the same ticket recorded.

        Raises:
            TicketNotFound: there is no such ticket.
        """
        try:
            return self._update(
                ticket_id,
                "#status = :processed, analysis = :analysis, urgency = :urgency, category = :category, "
                "updatedAt = :now, pendingSince = if_not_exists(pendingSince, :now), " + _APPEND_TO_HISTORY,
                condition="#status IN (:received, :failed)",
                values={
                    ":processed": Status.PROCESSED,
                    ":received": Status.RECEIVED,
                    ":failed": Status.FAILED,
                    ":analysis": analysis,
                    ":urgency": analysis["urgency"],
                    ":category": analysis["category"],
                    ":now": timestamp(now),
                    **_history(execution, Status.PROCESSED, timestamp(now)),
                },
            )
        except _ConditionFailedError as failed:
            return failed.ticket()

    def record_failure(self, ticket_id: str, failure: Failure, *, execution: str) -> Ticket | None:
        """Make a RECEIVED ticket FAILED; any later status stays. None when the ticket was never stored."""
        try:
            return self._update(
                ticket_id,
                "#status = :failed, failure = :failure, updatedAt = :now, "
                + _APPEND_TO_HISTORY
                + " REMOVE pendingSince",
                condition="#status = :received",
                values={
                    ":failed": Status.FAILED,
                    ":received": Status.RECEIVED,
                    ":failure": failure,
                    ":now": failure["failedAt"],
                    **_history(execution, failure["error"], failure["failedAt"]),
                },
            )
        except _ConditionFailedError as failed:
            return failed.ticket() if failed.item else None

    def mark_announced(self, ticket_id: str, now: datetime) -> Ticket:
        """Note that the support team was told: the ticket owes nothing any more.

        Raises:
            TicketNotFound: there is no such ticket.
        """
        try:
            return self._update(
                ticket_id,
                "notifiedAt = if_not_exists(notifiedAt, :now), updatedAt = :now REMOVE pendingSince",
                condition="attribute_exists(#status)",
                values={":now": timestamp(now)},
            )
        except _ConditionFailedError as failed:
            return failed.ticket()

    def claim(self, seen: Ticket, *, sweeps: int, now: datetime) -> Ticket | None:
        """Take a ticket for one more execution, exclusively; None when it changed since then.

        FAILED becomes RECEIVED again, `attempts` counts up, and `sweeps` notes how many of the latest
        restarts were the schedule's own.
        """
        try:
            return self._claimed(seen, sweeps, now)
        except _ConditionFailedError:
            return None

    def reopen(self, seen: Ticket, now: datetime) -> Ticket | None:
        """Claim an abandoned ticket; None when it is not abandoned any more.

        A write that leaves it abandoned, such as its customer's feedback, does not stop the claim.
        """
        while seen.is_abandoned:
            try:
                return self._claimed(seen, 0, now)
            except _ConditionFailedError as failed:
                seen = failed.ticket()
        return None

    def give_up(self, seen: Ticket, failure: Failure) -> Ticket | None:
        """End a pending ticket's sweeps; RECEIVED becomes FAILED. None when it changed meanwhile."""
        try:
            return self._update(
                seen.ticket_id,
                "#status = :status, failure = :failure, updatedAt = :now REMOVE pendingSince",
                condition="version = :seen",
                values={
                    ":status": Status.FAILED if seen.status is Status.RECEIVED else seen.status,
                    ":failure": failure,
                    ":now": failure["failedAt"],
                    ":seen": seen.version,
                },
            )
        except _ConditionFailedError:
            return None

    def change(self, ticket_id: str, change: Change, now: datetime) -> Ticket | None:
        """Make an agent's change to the version that the agent read; None when there is a later one."""
        values = {name: value for name, value in change.values.items() if value != ""}
        removed = [name for name, value in change.values.items() if value == ""]
        places = {"status": "#status"}
        try:
            return self._update(
                ticket_id,
                "".join(f"{places.get(name, name)} = :{name}, " for name in values)
                + "updatedAt = :now"
                + (f" REMOVE {', '.join(removed)}" if removed else ""),
                condition="attribute_exists(#status) AND version = :seen",
                values={
                    **{f":{name}": value for name, value in values.items()},
                    ":now": timestamp(now),
                    ":seen": change.version,
                },
            )
        except _ConditionFailedError:
            return None

    def add_feedback(self, ticket_id: str, feedback: Feedback) -> Feedback | None:
        """Add a ticket's first feedback: None when it was added, else the one that was there before."""
        try:
            self._update(
                ticket_id,
                "feedback = :feedback, updatedAt = :now",
                condition="attribute_exists(#status) AND attribute_not_exists(feedback)",
                values={":feedback": feedback, ":now": feedback["givenAt"]},
            )
        except _ConditionFailedError as failed:
            return failed.ticket().feedback
        return None

    def replace_feedback(self, ticket_id: str, feedback: Feedback) -> None:
        """Put a ticket's changed feedback in the place of the one given at the same time.

        Raises:
            TicketNotFound: there is none such any more.
        """
        try:
            self._update(
                ticket_id,
                "feedback = :feedback, updatedAt = :now",
                condition="attribute_exists(#status) AND feedback.givenAt = :givenAt",
                values={
                    ":feedback": feedback,
                    ":now": feedback["changedAt"],
                    ":givenAt": feedback["givenAt"],
                },
            )
        except _ConditionFailedError as failed:
            raise TicketNotFound("The ticket is not in the table; was it deleted meanwhile?") from failed

    def pending_since_before(self, moment: datetime) -> Iterator[str]:
        """The ids of the tickets that owe something since before the moment, read page by page."""
        arguments: dict[str, Any] = {
            "TableName": self._name,
            "IndexName": "Pending",
            "FilterExpression": "pendingSince < :moment",
            "ExpressionAttributeValues": to_item({":moment": timestamp(moment)}),
        }
        while True:
            with _translated():
                page = self._client.scan(**arguments)
            yield from (item["ticketId"]["S"] for item in page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _reopened(self, failed: Ticket, now: datetime) -> Ticket:
        return self.reopen(failed, now) or self.get(failed.ticket_id) or failed

    def _claimed(self, seen: Ticket, sweeps: int, now: datetime) -> Ticket:
        return self._update(
            seen.ticket_id,
            "#status = :status, attempts = attempts + :one, sweeps = :sweeps, "
            "pendingSince = :now, updatedAt = :now",
            condition="version = :seen",
            values={
                ":status": Status.RECEIVED if seen.status is Status.FAILED else seen.status,
                ":sweeps": sweeps,
                ":now": timestamp(now),
                ":seen": seen.version,
            },
        )

    def _update(self, ticket_id: str, changes: str, *, condition: str, values: Mapping[str, Any]) -> Ticket:
        """Write one version more; `changes` are an update expression's, without its first SET."""
        with _translated():
            answer = self._client.update_item(
                TableName=self._name,
                Key=_key(ticket_id),
                # Every write is a version of its own.
                UpdateExpression=f"SET version = version + :one, {changes}",
                ConditionExpression=condition,
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues=to_item({**values, ":one": 1}),
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        return _ticket(answer["Attributes"])


class _ConditionFailedError(Exception):
    """A write's condition did not hold; `item` is what is stored instead, if anything."""

    def __init__(self, item: Mapping[str, Any] | None) -> None:
        super().__init__()
        self.item = item

    def ticket(self) -> Ticket:
        if not self.item:
            raise TicketNotFound("The ticket is not in the table; was it deleted meanwhile?")
        return _ticket(self.item)


@contextmanager
def _translated() -> Iterator[None]:
    with translated(unavailable=StoreUnavailable, rejected=StoreRejected):
        try:
            yield
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            raise _ConditionFailedError(cast(Any, error.response).get("Item")) from error


_APPEND_TO_HISTORY = "history = list_append(if_not_exists(history, :empty), :attempt)"


def _history(execution: str, outcome: str, ended_at: str) -> dict[str, Any]:
    attempt: Attempt = {"execution": execution, "outcome": outcome, "endedAt": ended_at}
    return {":empty": [], ":attempt": [attempt]}


def _key(ticket_id: str) -> dict[str, Any]:
    return {"ticketId": {"S": ticket_id}}


def _ticket(item: Mapping[str, Any]) -> Ticket:
    return Ticket.from_document(to_document(item))
