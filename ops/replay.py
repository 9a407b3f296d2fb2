"""Replay: failed tickets go to the waiting room, and are watched until they are announced or fail again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ops.errors import UsageError
from ops.failed import FailedTicket, Unreadable, UnreadableTicket, failed_ids, find, in_parallel
from ops.queue import Held
from ops.report import age, count, duration, harmless
from ops.run import Run
from ops.target import Target
from ops.watch import watch
from support.domain.ticket import Ticket
from support.domain.waiting import REPLAY, has_priority


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which failed tickets are meant: those that pass every filter that is given."""

    ticket_id: str | None = None
    since: timedelta | None = None
    error: str | None = None

    @property
    def is_everything(self) -> bool:
        """Whether nothing is filtered."""
        return self == Selection()

    def takes(self, failed: FailedTicket, now: datetime) -> bool:
        """Whether the ticket is meant. Of dismissed ones, those that have a message are shown."""
        return (
            (
                failed.ticket_id == self.ticket_id
                if self.ticket_id
                else failed.messages or not failed.is_dismissed
            )
            and (self.since is None or now - failed.failed_at <= self.since)
            and (self.error is None or failed.error == self.error)
        )


def replay(run: Run, selection: Selection) -> int:
    """List what waits and what failed, and replay this; return the exit code: 1 when a ticket stays failed.

    Raises:
        UsageError: the selected ticket is unknown.
        PipelineError, ClientError, BotoCoreError: AWS did not do its part; nothing is lost by it.
    """
    queue = run.target.failed_tickets
    now = datetime.now(UTC)
    waiting = list(run.target.pending_tickets.waiting())
    if waiting or run.dry_run:
        run.report.waiting(waiting, now)
    with queue.held() as messages:
        chosen, unreadable = _choose(run.target, selection, messages, now)
        if not chosen and not unreadable:
            run.report.say(_nothing(run.target, selection))
            return 0
        run.report.say(f"{count(len(chosen), 'failed ticket')} in {run.target.title}:")
        run.report.tickets(chosen, now)
        blocked = [] if selection.ticket_id else [failed for failed in chosen if failed.is_dismissed]
        left = _left_behind(blocked, unreadable, now)
        for line in left:
            run.report.say(line)
        if run.dry_run:
            run.report.say("Dry run: nothing was changed.")
            return 0
        replayed = [failed for failed in chosen if failed not in blocked]
        movable = any(map(_is_for_sqs, replayed))
        at_once = movable and selection.is_everything and not left and queue.can_move_all()
        _restart([one for one in replayed if not (at_once and _is_for_sqs(one))], messages, run.target)
    if at_once:
        # Only now that they are given back: SQS does not move what somebody holds.
        queue.move_all(run.target.waiting_room)
    # Afterwards: should a mark fail, the ticket is replayed all the same.
    _mark(run.target, replayed)
    none_failed = follow(run, replayed)
    stopped = queue.last_move_failure() if at_once else None
    if stopped:
        run.report.say(f"SQS stopped moving messages: {harmless(stopped)}; run this again.")
    return 0 if none_failed and not left and not stopped else 1


def follow(run: Run, tickets: Sequence[FailedTicket]) -> bool:
    """Watch replayed tickets and say how each ended; whether none failed again."""
    if not tickets:
        return True
    with run.report.watching(len(tickets), run.clock) as listener:
        results = watch(tickets, run, listener)
    return run.report.summary(results, run.deadline)


def _choose(
    target: Target, selection: Selection, messages: Held, now: datetime
) -> tuple[list[FailedTicket], list[Unreadable]]:
    one = selection.ticket_id
    candidates = [one] if one else failed_ids(target.dynamodb, target.tickets_table)
    found, unreadable = find(target.table, candidates, messages)
    # Of a message that nobody can read no filter can tell whether it is meant.
    chosen = [failed for failed in found if selection.takes(failed, now)]
    return chosen, unreadable if selection.is_everything else []


def _is_for_sqs(failed: FailedTicket) -> bool:
    """Whether its messages can be moved with all others, to the one queue to which SQS moves them."""
    return failed.can_be_moved and not has_priority(failed.submission)


def _restart(tickets: Sequence[FailedTicket], messages: Held, target: Target) -> None:
    for failed in tickets:
        waiting_room = target.waiting_room_for(failed.submission)
        if failed.can_be_moved:
            newest, *older = failed.messages
            messages.move(newest, waiting_room)
        else:
            older = [*failed.messages]
            waiting_room.send(failed.to_message())
        # One message starts the ticket again; more would find it started.
        for message in older:
            messages.delete(message)


def _mark(target: Target, replayed: Sequence[FailedTicket]) -> None:
    """Note of the stored ones that they wait, so that everybody sees it, and nobody replays them again."""
    now = datetime.now(UTC)

    def mark(ticket: Ticket) -> None:
        target.table.mark_waiting(ticket, reason=REPLAY, now=now)

    list(in_parallel(mark, [failed.stored for failed in replayed if failed.stored]))


def _left_behind(
    blocked: Sequence[FailedTicket], unreadable: Sequence[Unreadable], now: datetime
) -> list[str]:
    """What a replay cannot mend, one line each: it stays in the queue, for a person to look at."""
    return [
        *(f"Ticket {harmless(failed.ticket_id)} stays: it was dismissed." for failed in blocked),
        *(f"{_title(one, now)} stays: {one.reason}" for one in unreadable),
    ]


def _title(unreadable: Unreadable, now: datetime) -> str:
    if isinstance(unreadable, UnreadableTicket):
        return f"Ticket {harmless(unreadable.ticket_id)}"
    message = unreadable.message
    return f"Message {harmless(message.id)} ({age(now - message.sent_at)} old)"


def _nothing(target: Target, selection: Selection) -> str:
    """Why there is nothing to replay."""
    if selection.ticket_id is None:
        what = "Nothing failed" if selection.is_everything else "No failed ticket fits"
        return f"{what} in {target.title}: there is nothing to replay."
    name = harmless(selection.ticket_id)
    ticket = target.table.get(selection.ticket_id)
    if ticket is None:
        raise UsageError(f"Ticket {name} is unknown in {target.title}: no table and no queue holds it.")
    if ticket.notified_at:
        return f"Ticket {name} is already processed (announced at {ticket.notified_at}): nothing to replay."
    if ticket.waiting_since:
        waited = duration(datetime.now(UTC) - datetime.fromisoformat(ticket.waiting_since))
        reason = harmless(ticket.waiting_for or "")
        return f"Ticket {name} has been in the waiting room for {waited} ({reason}): it goes on by itself."
    if ticket.needs_replay:
        return f"Ticket {name} failed, but does not fit the other filters: nothing to replay."
    return f"Ticket {name} has not failed, it is {ticket.status}: wait for it, or for the sweep."
