"""Dismiss: a ticket or message leaves the queue, the decision is recorded, and nothing is lost."""

import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ops.dismiss import DismissalRequest, dismiss
from ops.options import UsageError
from ops.replay import Selection, replay
from support.domain.ticket_types import Status
from tests.ops.conftest import OPERATIONS_LOG_GROUP, ContextFactory, Pipeline, ago, submission

REASON = "A person wrote to the customer."
OPERATOR = "arn:aws:sts::123456789012:user/moto"


def ticket(ticket_id: str) -> DismissalRequest:
    return DismissalRequest(ticket_id=ticket_id, reason=REASON)


def message(message_id: str, save_to: Path | None = None) -> DismissalRequest:
    return DismissalRequest(message_id=message_id, reason=REASON, save_to=save_to)


def logged_decisions(pipeline: Pipeline) -> list[dict[str, Any]]:
    """The lines in the operations log group."""
    events = pipeline.target.logs.filter_log_events(logGroupName=OPERATIONS_LOG_GROUP)["events"]
    return [json.loads(event["message"]) for event in events]


def message_ids(pipeline: Pipeline) -> list[str]:
    with pipeline.target.failed_tickets_queue.receive_all() as messages:
        return [one.id for one in messages]


def test_a_dismissed_ticket_stays_in_the_table_and_its_messages_are_deleted(
    context: ContextFactory, pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.fail("t-1", "ModelRefused")
    pipeline.queue_failure("t-1", "ModelRefused")
    pipeline.queue_failure("t-1", "ModelRefused", execution="arn:again")
    pipeline.queue_failure("t-2")

    assert dismiss(context(), ticket("t-1")) == 0

    dismissed = pipeline.table.get("t-1")
    assert dismissed
    assert dismissed.status is Status.FAILED
    assert dismissed.dismissed == {"by": OPERATOR, "at": dismissed.updated_at, "reason": REASON}
    assert [failure["input"]["ticketId"] for failure in pipeline.failed_messages()] == ["t-2"]
    (line,) = logged_decisions(pipeline)
    assert (line["ticketId"], line["error"], len(line["messageIds"])) == ("t-1", "ModelRefused", 2)
    assert line["dismissed"] == dismissed.dismissed
    assert "I was charged twice." not in json.dumps(line)
    assert capsys.readouterr().out == (
        "Dismissed ticket t-1 (ModelRefused). "
        "It stays in the table; the reason is also in log group operations.\n"
    )


def test_a_ticket_that_is_not_in_the_table_is_stored_as_failed_and_dismissed(
    context: ContextFactory, pipeline: Pipeline
) -> None:
    pipeline.queue_failure("t-1", "StoreRejected")
    target = replace(pipeline.target, ticket_retention_days=90)

    assert dismiss(context(target=target), ticket("t-1")) == 0

    stored = pipeline.table.get("t-1")
    assert stored
    assert (stored.status, stored.content) == (Status.FAILED, "I was charged twice.")
    assert stored.failure
    assert stored.failure["error"] == "StoreRejected"
    assert stored.dismissed
    assert stored.pending_since is None
    assert stored.expires_at
    assert stored.expires_at > ago(days=-89).timestamp()
    assert pipeline.failed_messages() == []


def test_a_replay_of_everything_skips_a_dismissed_ticket(
    context: ContextFactory, pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.fail("t-1")
    dismiss(context(), ticket("t-1"))
    capsys.readouterr()

    assert replay(context(), Selection()) == 0

    assert capsys.readouterr().out == "Nothing failed in the stack: there is nothing to replay.\n"
    assert pipeline.consumed == []


def test_a_replay_of_everything_skips_a_new_message_of_a_dismissed_ticket(
    context: ContextFactory, pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.fail("t-1")
    dismiss(context(), ticket("t-1"))
    pipeline.queue_failure("t-1")
    pipeline.queue_failure("t-2")

    assert replay(context(), Selection()) == 1
    assert dismiss(context(), ticket("t-1")) == 0

    assert "Ticket t-1 is skipped: it was dismissed.\n" in capsys.readouterr().out
    assert [one["input"]["ticketId"] for one in pipeline.consumed] == ["t-2"]
    assert pipeline.failed_messages() == []


def test_a_dismissed_ticket_is_replayed_by_its_id_and_is_then_no_longer_dismissed(
    context: ContextFactory, pipeline: Pipeline
) -> None:
    pipeline.fail("t-1")
    dismiss(context(), ticket("t-1"))

    assert replay(context(), Selection(ticket_id="t-1")) == 0

    replayed = pipeline.table.get("t-1")
    assert replayed
    assert replayed.notified_at
    assert replayed.dismissed is None


def test_an_unreadable_message_is_first_saved_to_a_private_file(
    context: ContextFactory, pipeline: Pipeline, tmp_path: Path
) -> None:
    pipeline.queue_message('{"words": "of a customer"}')
    pipeline.queue_failure("t-2")
    (unreadable,) = set(message_ids(pipeline)) - message_ids_of(pipeline, "t-2")
    file = tmp_path / "message.json"

    with pytest.raises(UsageError, match=r"cannot be stored as a ticket: .* SAVE=<file>\.$"):
        dismiss(context(), message(unreadable))
    assert dismiss(context(), message(unreadable, file)) == 0

    saved = json.loads(file.read_text())
    assert (saved["messageId"], saved["body"]) == (unreadable, '{"words": "of a customer"}')
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (line,) = logged_decisions(pipeline)
    assert line["messageIds"] == [unreadable]
    assert line["savedTo"] == str(file)
    assert "customer" not in json.dumps(line).replace(REASON, "")
    assert [failure["input"]["ticketId"] for failure in pipeline.failed_messages()] == ["t-2"]


def message_ids_of(pipeline: Pipeline, ticket_id: str) -> set[str]:
    with pipeline.target.failed_tickets_queue.receive_all() as messages:
        return {one.id for one in messages if ticket_id in one.body}


@pytest.mark.parametrize("path", ["taken.json", "no-such-folder/message.json"])
def test_a_message_that_cannot_be_saved_stays_in_the_queue(
    context: ContextFactory, pipeline: Pipeline, tmp_path: Path, path: str
) -> None:
    pipeline.queue_message("not JSON")
    (tmp_path / "taken.json").write_text("something else")
    (unreadable,) = message_ids(pipeline)

    with pytest.raises(UsageError, match=r"cannot be written: (File exists|No such file or directory)\.$"):
        dismiss(context(), message(unreadable, tmp_path / path))

    assert (tmp_path / "taken.json").read_text() == "something else"
    assert message_ids(pipeline) == [unreadable]
    assert logged_decisions(pipeline) == []


def test_a_readable_message_dismisses_its_ticket(context: ContextFactory, pipeline: Pipeline) -> None:
    pipeline.fail("t-1")
    pipeline.queue_failure("t-1")
    (one,) = message_ids(pipeline)

    assert dismiss(context(), message(one)) == 0

    dismissed = pipeline.table.get("t-1")
    assert dismissed
    assert dismissed.dismissed
    assert pipeline.failed_messages() == []


def test_one_of_several_submissions_with_the_same_id_is_selected_by_its_message(
    context: ContextFactory, pipeline: Pipeline
) -> None:
    pipeline.queue_failure("t-1")
    pipeline.queue_failure("t-1", input=submission("t-1", "Something else."))
    one, other = message_ids(pipeline)

    with pytest.raises(UsageError) as refused:
        dismiss(context(), ticket("t-1"))
    assert dismiss(context(), message(one)) == 0

    assert {one, other} <= set(str(refused.value).replace(",", "").rstrip(".").split())
    assert message_ids(pipeline) == [other]


def test_the_stale_message_of_a_processed_ticket_is_deleted_and_the_ticket_stays_unchanged(
    context: ContextFactory, pipeline: Pipeline
) -> None:
    pipeline.store("t-1")
    pipeline.process("t-1")
    pipeline.queue_failure("t-1")
    before = pipeline.table.get("t-1")

    assert dismiss(context(), ticket("t-1")) == 0

    assert pipeline.table.get("t-1") == before
    assert pipeline.failed_messages() == []


def test_a_ticket_that_is_being_processed_again_is_not_dismissed(
    context: ContextFactory, pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.fail("t-1")
    pipeline.queue_failure("t-1")

    class StsDuringReplay:
        """Somebody else replays the ticket just before STS responds."""

        def get_caller_identity(self) -> dict[str, str]:
            pipeline.claim("t-1")
            return {"Arn": OPERATOR}

    sts: Any = StsDuringReplay()

    assert dismiss(context(target=replace(pipeline.target, sts=sts)), ticket("t-1")) == 1

    assert (
        "Not dismissed: ticket t-1 (ModelRejected) is being processed again, or is in the waiting room.\n"
        in (capsys.readouterr().out)
    )
    assert len(pipeline.failed_messages()) == 1
    assert logged_decisions(pipeline) == []


def test_a_ticket_in_the_waiting_room_is_not_dismissed(
    context: ContextFactory, pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.wait("t-1", "Replay", since=ago(minutes=1))
    assert dismiss(context(), ticket("t-1")) == 0
    pipeline.queue_failure("t-1")
    before = pipeline.table.get("t-1")

    assert dismiss(context(), ticket("t-1")) == 1

    nothing_to_dismiss, not_dismissed = capsys.readouterr().out.splitlines()
    assert nothing_to_dismiss == (
        "Nothing to dismiss: ticket t-1 is in the waiting room and continues automatically."
    )
    assert not_dismissed.startswith("Not dismissed: ticket t-1 (ModelRejected) is being processed again, or")
    assert pipeline.table.get("t-1") == before
    assert len(pipeline.failed_messages()) == 1


def test_a_ticket_whose_message_sqs_moved_from_the_waiting_room_is_dismissed_as_failed(
    context: ContextFactory, pipeline: Pipeline
) -> None:
    pipeline.defer("t-1")
    pipeline.queue_deferral("t-1", since=ago(hours=1))

    assert dismiss(context(), ticket("t-1")) == 0

    dismissed = pipeline.table.get("t-1")
    assert dismissed
    assert dismissed.status is Status.FAILED
    assert dismissed.dismissed
    assert dismissed.failure
    assert dismissed.failure["error"] == "ModelThrottled"
    assert (dismissed.waiting_since, dismissed.pending_since) == (None, None)
    assert pipeline.failed_messages() == []


def test_a_dry_run_describes_the_dismissal_and_changes_nothing(
    context: ContextFactory, pipeline: Pipeline, capsys: Any, tmp_path: Path
) -> None:
    pipeline.queue_message("not JSON")
    (unreadable,) = message_ids(pipeline)
    pipeline.queue_failure("t-1", "StoreRejected")

    assert dismiss(context(dry_run=True), ticket("t-1")) == 0
    assert dismiss(context(dry_run=True), message(unreadable, tmp_path / "m.json")) == 0

    assert capsys.readouterr().out.splitlines() == [
        "Would store and dismiss ticket t-1 (StoreRejected), and delete 1 message.",
        f"Would save message {unreadable} to {tmp_path}/m.json, then delete it from the queue.",
    ]
    assert pipeline.table.get("t-1") is None
    assert len(message_ids(pipeline)) == 2
    assert logged_decisions(pipeline) == []
    assert list(tmp_path.iterdir()) == []


def test_only_failed_tickets_and_existing_messages_can_be_dismissed(
    context: ContextFactory, pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.store("t-1")
    pipeline.store("t-2")
    pipeline.process("t-2")

    assert dismiss(context(), ticket("t-1")) == 0
    assert dismiss(context(), ticket("t-2")) == 0
    for unknown in (ticket("nobody"), message("nothing")):
        with pytest.raises(
            UsageError, match=r"^There is no failed (ticket nobody|message nothing) in the st"
        ):
            dismiss(context(), unknown)

    received, processed = capsys.readouterr().out.splitlines()
    assert received == "Nothing to dismiss: ticket t-1 has not failed, its status is RECEIVED."
    assert processed.startswith("Nothing to dismiss: ticket t-2 is processed (notification sent at 20")
