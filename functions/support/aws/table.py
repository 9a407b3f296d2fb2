"""The tickets table: every write is conditional, so that a repeated or late execution does no harm."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from support.aws.items import to_item
from support.aws.ticket_items import ConditionFailedError, TicketItems, store_errors
from support.domain.ticket import Analysis, Attempt, Dismissal, Failure, Status, Ticket, timestamp


class TicketTable(TicketItems):
    """What the pipeline, and those who restart it, write about a ticket."""

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
            with store_errors():
                self._client.put_item(
                    TableName=self._name,
                    Item=to_item(ticket.to_document()),
                    ConditionExpression="attribute_not_exists(ticketId)",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
        except ConditionFailedError as failed:
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
                "updatedAt = :now, pendingSince = if_not_exists(pendingSince, :now), "
                + _APPEND_TO_HISTORY
                + " REMOVE dismissed",
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
                is_new_version=True,
            )
        except ConditionFailedError as failed:
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
                is_new_version=True,
            )
        except ConditionFailedError as failed:
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
        except ConditionFailedError as failed:
            return failed.ticket()

    def claim(self, seen: Ticket, *, sweeps: int, now: datetime) -> Ticket | None:
        """Take an unannounced ticket for one more execution, exclusively; None when it went on since then.

        FAILED becomes RECEIVED again, `attempts` counts up, and `sweeps` notes how many of the latest
        restarts were the schedule's own.
        """
        is_failed = seen.status is Status.FAILED
        try:
            return self._update(
                seen.ticket_id,
                "#status = :status, attempts = attempts + :one, sweeps = :sweeps, "
                "pendingSince = :now, updatedAt = :now REMOVE dismissed",
                condition=_IS_AS_SEEN,
                values={
                    ":status": Status.RECEIVED if is_failed else seen.status,
                    ":one": 1,
                    ":sweeps": sweeps,
                    ":now": timestamp(now),
                    **_seen(seen),
                },
                is_new_version=is_failed,
            )
        except ConditionFailedError:
            return None

    def reopen(self, seen: Ticket, now: datetime) -> Ticket | None:
        """Claim an abandoned ticket; None when it is not abandoned, or somebody else has claimed it."""
        return self.claim(seen, sweeps=0, now=now) if seen.is_abandoned else None

    def give_up(self, seen: Ticket, failure: Failure) -> Ticket | None:
        """End a pending ticket's sweeps; RECEIVED becomes FAILED. None when it went on meanwhile."""
        is_unread = seen.status is Status.RECEIVED
        try:
            return self._update(
                seen.ticket_id,
                "#status = :status, failure = :failure, updatedAt = :now REMOVE pendingSince",
                condition=_IS_AS_SEEN,
                values={
                    ":status": Status.FAILED if is_unread else seen.status,
                    ":failure": failure,
                    ":now": failure["failedAt"],
                    **_seen(seen),
                },
                is_new_version=is_unread,
            )
        except ConditionFailedError:
            return None

    def dismiss(self, seen: Ticket, dismissal: Dismissal) -> Ticket | None:
        """Note that an abandoned ticket is not to be replayed; None when it went on meanwhile.

        Every restart takes the note away again.
        """
        try:
            return self._update(
                seen.ticket_id,
                "dismissed = :dismissal, updatedAt = :now",
                condition=_IS_AS_SEEN,
                values={":dismissal": dismissal, ":now": dismissal["at"], **_seen(seen)},
            )
        except ConditionFailedError:
            return None

    def _reopened(self, failed: Ticket, now: datetime) -> Ticket:
        return self.reopen(failed, now) or self.get(failed.ticket_id) or failed


# Every claim counts `attempts` up, and every execution's end changes the status or notes the announcement. An
# agent's other changes and feedback do not matter to either.
_IS_AS_SEEN = "attempts = :attempts AND #status = :seen AND attribute_not_exists(notifiedAt)"
_APPEND_TO_HISTORY = "history = list_append(if_not_exists(history, :empty), :attempt)"


def _seen(ticket: Ticket) -> dict[str, Any]:
    return {":attempts": ticket.attempts, ":seen": ticket.status}


def _history(execution: str, outcome: str, ended_at: str) -> dict[str, Any]:
    attempt: Attempt = {"execution": execution, "outcome": outcome, "endedAt": ended_at}
    return {":empty": [], ":attempt": [attempt]}
