"""The tickets table. Every write is conditional, so that a repeated or late execution changes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from support.aws.ticket_items import SET_STATUS, ConditionFailedError, TicketItems, new_status
from support.domain.execution import Execution
from support.domain.ticket import Ticket, timestamp
from support.domain.ticket_types import Analysis, Attempt, Dismissal, Failure, Status

# Every lease increments `attempts`, and the end of every execution changes the status or sets `notifiedAt`.
# An agent's other changes, and feedback, are irrelevant here.
_IS_UNCHANGED = "attempts = :attempts AND #status = :oldStatus AND attribute_not_exists(notifiedAt)"
_IS_FREE = "attribute_not_exists(leasedBy) OR leasedUntil < :now"
_IS_FREE_OR_OWN = f"({_IS_FREE} OR begins_with(leasedBy, :ownArn))"
_LEASE_AND_WAIT = "leasedBy, leasedUntil, waitingSince, waitingFor"
_APPEND_TO_HISTORY = "history = list_append(if_not_exists(history, :empty), :attempt)"


class TicketTable(TicketItems):
    """The writes of the pipeline and of those who restart it."""

    def find(self, submitted: Ticket) -> Ticket | None:
        """The stored ticket of a submission, under the submitted id or a derived one, or None."""
        while (existing := self.get(submitted.ticket_id)) and not existing.is_same_submission_as(submitted):
            submitted = submitted.with_derived_id()
        return existing

    def find_or_add(self, submitted: Ticket) -> tuple[Ticket, bool]:
        """The stored ticket of a submission, and whether it is new.

        When another submission's ticket has the id, the ticket is added under a derived id.
        """
        while (existing := self.add(submitted)) and not existing.is_same_submission_as(submitted):
            submitted = submitted.with_derived_id()
        return existing or submitted, existing is None

    def claim(self, submitted: Ticket, execution: Execution, now: datetime) -> tuple[Ticket, bool]:
        """Find or add a submission's ticket and lease it to an execution; whether the lease was granted.

        It is not granted while another execution holds the lease, after the notification, or to the execution
        with which the ticket failed. The lease makes a FAILED ticket RECEIVED again.
        """
        leased = replace(submitted, leased_by=execution.lease_holder, leased_until=execution.lease_end(now))
        ticket, is_new = self.find_or_add(leased)
        if is_new:
            return ticket, True
        if ticket.notified_at or (ticket.status is Status.FAILED and ticket.was_ended_by(execution.name)):
            return ticket, False
        return self._lease(ticket, execution, now)

    def record_analysis(
        self, ticket_id: str, analysis: Analysis, *, execution_name: str, now: datetime
    ) -> Ticket:
        """Store the analysis and make the ticket PROCESSED; return the ticket unchanged when it already is.

        Also replaces a FAILED that a parallel execution of the ticket recorded.

        Raises:
            TicketNotFound: the ticket does not exist.
        """
        try:
            return self._update(
                ticket_id,
                f"{SET_STATUS}, "
                "analysis = :analysis, urgency = :urgency, category = :category, needsReview = :needsReview, "
                "updatedAt = :now, pendingSince = if_not_exists(pendingSince, :now), "
                + _APPEND_TO_HISTORY
                + " REMOVE dismissed",
                condition="#status IN (:received, :failed)",
                values={
                    **new_status(ticket_id, Status.PROCESSED),
                    ":received": Status.RECEIVED,
                    ":failed": Status.FAILED,
                    ":analysis": analysis,
                    ":urgency": analysis["urgency"],
                    ":category": analysis["category"],
                    ":needsReview": analysis["needsReview"],
                    ":now": timestamp(now),
                    **_attempt(execution_name, Status.PROCESSED, timestamp(now)),
                },
                is_new_version=True,
            )
        except ConditionFailedError as failed:
            return failed.ticket()

    def record_failure(
        self, ticket_id: str, failure: Failure, *, execution_name: str, execution_arn: str, now: datetime
    ) -> Ticket | None:
        """Store the failure of an execution: RECEIVED becomes FAILED, any later status stays.

        Changes nothing while another execution holds the lease, or after the notification. None when the
        ticket does not exist.
        """
        ticket = self.get(ticket_id)
        if ticket is None or ticket.was_failed_by(execution_name, failure["error"]):
            return ticket
        is_received = ticket.status is Status.RECEIVED
        try:
            return self._update(
                ticket_id,
                f"{SET_STATUS}, failure = :failure, updatedAt = :failedAt, "
                + _APPEND_TO_HISTORY
                + f" REMOVE pendingSince, {_LEASE_AND_WAIT}",
                condition=f"{_IS_UNCHANGED} AND {_IS_FREE_OR_OWN}",
                values={
                    **new_status(ticket_id, Status.FAILED if is_received else ticket.status),
                    ":failure": failure,
                    ":failedAt": failure["failedAt"],
                    **_attempt(execution_name, failure["error"], failure["failedAt"]),
                    **_unchanged(ticket),
                    **_own_lease(execution_arn, now),
                },
                is_new_version=is_received,
            )
        except ConditionFailedError as failed:
            return failed.ticket() if failed.item else None

    def record_deferral(
        self, ticket_id: str, *, error: str, since: str, execution_arn: str, now: datetime
    ) -> Ticket | None:
        """Mark a ticket as waiting and end the execution's lease.

        Changes nothing and returns None when another execution holds the lease.
        """
        try:
            return self._update(
                ticket_id,
                "waitingSince = :since, waitingFor = :error, updatedAt = :now REMOVE leasedBy, leasedUntil",
                condition="attribute_exists(#status) AND attribute_not_exists(notifiedAt) "
                f"AND {_IS_FREE_OR_OWN}",
                values={":since": since, ":error": error, **_own_lease(execution_arn, now)},
            )
        except ConditionFailedError:
            return None

    def mark_waiting(self, ticket: Ticket, *, reason: str, now: datetime) -> Ticket | None:
        """Mark a ticket that was sent to the waiting room; None when it has changed in the meantime."""
        try:
            return self._update(
                ticket.ticket_id,
                "waitingSince = :now, waitingFor = :reason, updatedAt = :now",
                condition=f"{_IS_UNCHANGED} AND "
                "(attribute_not_exists(waitingSince) OR waitingSince = :oldWaitingSince)",
                values={
                    ":now": timestamp(now),
                    ":reason": reason,
                    ":oldWaitingSince": ticket.waiting_since or "",
                    **_unchanged(ticket),
                },
            )
        except ConditionFailedError:
            return None

    def mark_notified(self, ticket_id: str, now: datetime) -> Ticket:
        """Mark a ticket about which the support team was notified; it is no longer pending.

        Raises:
            TicketNotFound: the ticket does not exist.
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

    def dismiss(self, ticket: Ticket, dismissal: Dismissal) -> Ticket | None:
        """Mark a ticket that is not to be replayed; None when it has changed in the meantime.

        Every restart removes the mark.
        """
        try:
            return self._update(
                ticket.ticket_id,
                "dismissed = :dismissal, updatedAt = :now",
                condition=_IS_UNCHANGED,
                values={":dismissal": dismissal, ":now": dismissal["at"], **_unchanged(ticket)},
            )
        except ConditionFailedError:
            return None

    def _lease(self, ticket: Ticket, execution: Execution, now: datetime) -> tuple[Ticket, bool]:
        is_failed = ticket.status is Status.FAILED
        holder = execution.lease_holder
        try:
            leased = self._update(
                ticket.ticket_id,
                f"{SET_STATUS}, attempts = attempts + :increment, leasedBy = :holder, "
                "leasedUntil = :until, pendingSince = if_not_exists(pendingSince, :now), updatedAt = :now "
                "REMOVE waitingSince, waitingFor, dismissed",
                condition=f"{_IS_UNCHANGED} AND ({_IS_FREE} OR leasedBy = :holder "
                "OR begins_with(leasedBy, :predecessor))",
                values={
                    **new_status(ticket.ticket_id, Status.RECEIVED if is_failed else ticket.status),
                    ":increment": 0 if ticket.leased_by == holder else 1,
                    ":holder": holder,
                    ":predecessor": f"{execution.predecessor or holder} ",
                    ":until": execution.lease_end(now),
                    ":now": timestamp(now),
                    **_unchanged(ticket),
                },
                is_new_version=is_failed,
            )
        except ConditionFailedError as failed:
            return failed.ticket(), False
        return leased, True


def _unchanged(ticket: Ticket) -> dict[str, Any]:
    return {":attempts": ticket.attempts, ":oldStatus": ticket.status}


def _own_lease(execution_arn: str, now: datetime) -> dict[str, Any]:
    # The space ends the ARN in `leasedBy`, so that no other ARN with this prefix matches.
    return {":ownArn": f"{execution_arn} ", ":now": timestamp(now)}


def _attempt(execution_name: str, outcome: str, ended_at: str) -> dict[str, Any]:
    attempt: Attempt = {"execution": execution_name, "outcome": outcome, "endedAt": ended_at}
    return {":empty": [], ":attempt": [attempt]}
