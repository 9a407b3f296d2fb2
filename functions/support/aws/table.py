"""The tickets table: every write is conditional, so that a repeated or late execution does no harm."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from support.aws.items import to_item
from support.aws.ticket_items import ConditionFailedError, TicketItems, store_errors
from support.domain.run import Run
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

    def claim(self, submitted: Ticket, run: Run, now: datetime) -> tuple[Ticket, bool]:
        """Add a submission's ticket, or find it, and lease it to an execution; whether the lease was given.

        One execution at a time gets it: none while another's lease lasts, none for a ticket that was
        announced, and not the one that failed with it, which then only repeats itself. A FAILED ticket
        becomes RECEIVED again.
        """
        leased = replace(submitted, leased_by=run.holder, leased_until=run.lease_end(now))
        ticket, is_new = self.find_or_add(leased)
        if is_new:
            return ticket, True
        if ticket.notified_at or (ticket.status is Status.FAILED and ticket.was_ended_by(run.name)):
            return ticket, False
        return self._lease(ticket, run, now)

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

    def record_failure(
        self, ticket_id: str, failure: Failure, *, execution: str, run: str, now: datetime
    ) -> Ticket | None:
        """End the work on a ticket: RECEIVED becomes FAILED, any later status stays.

        Nothing changes while another execution than `run`, an ARN, has the lease, or after the announcement.
        None when the ticket was never stored.
        """
        seen = self.get(ticket_id)
        if seen is None or seen.was_failed_by(execution, failure["error"]):
            return seen
        is_unread = seen.status is Status.RECEIVED
        try:
            return self._update(
                ticket_id,
                "#status = :status, failure = :failure, updatedAt = :failedAt, "
                + _APPEND_TO_HISTORY
                + f" REMOVE pendingSince, {_LEASE_AND_WAIT}",
                condition=f"{_IS_AS_SEEN} AND {_MAY_BE_ENDED}",
                values={
                    ":status": Status.FAILED if is_unread else seen.status,
                    ":failure": failure,
                    ":failedAt": failure["failedAt"],
                    **_history(execution, failure["error"], failure["failedAt"]),
                    **_seen(seen),
                    ":run": f"{run} ",
                    ":now": timestamp(now),
                },
                is_new_version=is_unread,
            )
        except ConditionFailedError as failed:
            return failed.ticket() if failed.item else None

    def record_deferral(
        self, ticket_id: str, *, error: str, since: str, run: str, now: datetime
    ) -> Ticket | None:
        """Note that a ticket goes to the waiting room, and end the lease of `run`, an execution's ARN.

        Nothing changes, and the answer is None, when the lease is another execution's.
        """
        try:
            return self._update(
                ticket_id,
                "waitingSince = :since, waitingFor = :error, updatedAt = :now REMOVE leasedBy, leasedUntil",
                condition="attribute_exists(#status) AND attribute_not_exists(notifiedAt) "
                f"AND {_MAY_BE_ENDED}",
                values={":since": since, ":error": error, ":run": f"{run} ", ":now": timestamp(now)},
            )
        except ConditionFailedError:
            return None

    def mark_waiting(self, seen: Ticket, *, reason: str, now: datetime) -> Ticket | None:
        """Note that a ticket was put into the waiting room, or once more; None when it went on meanwhile."""
        try:
            return self._update(
                seen.ticket_id,
                "waitingSince = :now, waitingFor = :reason, updatedAt = :now",
                condition=f"{_IS_AS_SEEN} AND (attribute_not_exists(waitingSince) OR waitingSince = :before)",
                values={
                    ":now": timestamp(now),
                    ":reason": reason,
                    ":before": seen.waiting_since or "",
                    **_seen(seen),
                },
            )
        except ConditionFailedError:
            return None

    def mark_announced(self, ticket_id: str, now: datetime) -> Ticket:
        """Note that the support team was told: the ticket owes nothing any more.

        Raises:
            TicketNotFound: there is no such ticket.
        """
        try:
            return self._update(
                ticket_id,
                "notifiedAt = if_not_exists(notifiedAt, :now), updatedAt = :now "
                f"REMOVE pendingSince, {_LEASE_AND_WAIT}",
                condition="attribute_exists(#status)",
                values={":now": timestamp(now)},
            )
        except ConditionFailedError as failed:
            return failed.ticket()

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

    def _lease(self, seen: Ticket, run: Run, now: datetime) -> tuple[Ticket, bool]:
        is_failed = seen.status is Status.FAILED
        is_repeat = seen.leased_by == run.holder
        try:
            ticket = self._update(
                seen.ticket_id,
                "#status = :status, attempts = attempts + :one, leasedBy = :holder, leasedUntil = :until, "
                "pendingSince = if_not_exists(pendingSince, :now), updatedAt = :now "
                "REMOVE waitingSince, waitingFor, dismissed",
                condition=f"{_IS_AS_SEEN} AND ({_IS_FREE} OR leasedBy = :holder "
                "OR begins_with(leasedBy, :predecessor))",
                values={
                    ":status": Status.RECEIVED if is_failed else seen.status,
                    ":one": 0 if is_repeat else 1,
                    ":holder": run.holder,
                    ":predecessor": f"{run.predecessor or run.holder} ",
                    ":until": run.lease_end(now),
                    ":now": timestamp(now),
                    **_seen(seen),
                },
                is_new_version=is_failed,
            )
        except ConditionFailedError as failed:
            return failed.ticket(), False
        return ticket, True


# Every lease counts `attempts` up, and every execution's end changes the status or notes the announcement. An
# agent's other changes and feedback do not matter to either.
_IS_AS_SEEN = "attempts = :attempts AND #status = :seen AND attribute_not_exists(notifiedAt)"
_IS_FREE = "attribute_not_exists(leasedBy) OR leasedUntil < :now"
_MAY_BE_ENDED = f"({_IS_FREE} OR begins_with(leasedBy, :run))"
_LEASE_AND_WAIT = "leasedBy, leasedUntil, waitingSince, waitingFor"
_APPEND_TO_HISTORY = "history = list_append(if_not_exists(history, :empty), :attempt)"


def _seen(ticket: Ticket) -> dict[str, Any]:
    return {":attempts": ticket.attempts, ":seen": ticket.status}


def _history(execution: str, outcome: str, ended_at: str) -> dict[str, Any]:
    attempt: Attempt = {"execution": execution, "outcome": outcome, "endedAt": ended_at}
    return {":empty": [], ":attempt": [attempt]}
