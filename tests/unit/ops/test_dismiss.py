"""Dismiss: what no replay can mend leaves the queue, the decision is kept, and nothing else is lost."""

import json
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ops.dismiss import Handle, dismiss
from ops.errors import UsageError
from ops.replay import Selection, replay
from ops.run import Run
from support.domain.ticket_types import Status
from tests.unit.ops.conftest import OPERATIONS, Pipeline, ago, submission

REASON = "A person wrote to the customer."
OPERATOR = "arn:aws:sts::123456789012:user/moto"


def ticket(ticket_id: str) -> Handle:
    return Handle(ticket_id=ticket_id, message_id=None)


def message(message_id: str) -> Handle:
    return Handle(ticket_id=None, message_id=message_id)


def decisions(pipeline: Pipeline) -> list[dict[str, Any]]:
    """The lines in the log group of operations."""
    events = pipeline.target.logs.filter_log_events(logGroupName=OPERATIONS)["events"]
    return [json.loads(event["message"]) for event in events]


def message_ids(pipeline: Pipeline) -> list[str]:
    with pipeline.target.failed_tickets.held() as messages:
        return [one.id for one in messages]


def test_a_failed_ticket_stays_in_the_table_with_the_decision_and_its_messages_go(
    run: Callable[..., Run], pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.fail("t-1", "ModelRefused")
    pipeline.queue_failure("t-1", "ModelRefused")
    pipeline.queue_failure("t-1", "ModelRefused", execution="arn:again")
    pipeline.queue_failure("t-2")

    assert dismiss(run(), ticket("t-1"), REASON, None) == 0

    dismissed = pipeline.table.get("t-1")
    assert dismissed
    assert dismissed.status is Status.FAILED
    assert dismissed.dismissed == {"by": OPERATOR, "at": dismissed.updated_at, "reason": REASON}
    assert [failure["input"]["ticketId"] for failure in pipeline.failed_messages()] == ["t-2"]
    (line,) = decisions(pipeline)
    assert (line["ticketId"], line["error"], len(line["messageIds"])) == ("t-1", "ModelRefused", 2)
    assert line["dismissed"] == dismissed.dismissed
    assert "I was charged twice." not in json.dumps(line)
    assert capsys.readouterr().out == (
        "Dismissed ticket t-1 (ModelRefused). It stays in the table; the reason is also in operations.\n"
    )


def test_a_ticket_that_was_never_stored_is_stored_as_failed_and_dismissed(
    run: Callable[..., Run], pipeline: Pipeline
) -> None:
    pipeline.queue_failure("t-1", "StoreRejected")
    target = replace(pipeline.target, ticket_retention_days=90)

    assert dismiss(run(target=target), ticket("t-1"), REASON, None) == 0

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


def test_a_dismissed_ticket_is_left_out_of_a_replay_of_everything(
    run: Callable[..., Run], pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.fail("t-1")
    dismiss(run(), ticket("t-1"), REASON, None)
    capsys.readouterr()

    assert replay(run(), Selection()) == 0

    assert capsys.readouterr().out == "Nothing failed in the stack: there is nothing to replay.\n"
    assert pipeline.started == []


def test_the_message_of_a_dismissed_ticket_that_came_back_is_not_replayed_with_the_others(
    run: Callable[..., Run], pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.fail("t-1")
    dismiss(run(), ticket("t-1"), REASON, None)
    pipeline.queue_failure("t-1")
    pipeline.queue_failure("t-2")

    assert replay(run(), Selection()) == 1
    assert dismiss(run(), ticket("t-1"), REASON, None) == 0

    assert "Ticket t-1 stays: it was dismissed.\n" in capsys.readouterr().out
    assert [one["input"]["ticketId"] for one in pipeline.started] == ["t-2"]
    assert pipeline.failed_messages() == []


def test_a_dismissed_ticket_is_replayed_when_it_is_named_and_is_then_as_any_other(
    run: Callable[..., Run], pipeline: Pipeline
) -> None:
    pipeline.fail("t-1")
    dismiss(run(), ticket("t-1"), REASON, None)

    assert replay(run(), Selection(ticket_id="t-1")) == 0

    replayed = pipeline.table.get("t-1")
    assert replayed
    assert replayed.notified_at
    assert replayed.dismissed is None


def test_an_unreadable_message_is_written_to_a_private_file_first(
    run: Callable[..., Run], pipeline: Pipeline, tmp_path: Path
) -> None:
    pipeline.queue('{"words": "of a customer"}')
    pipeline.queue_failure("t-2")
    (unreadable,) = set(message_ids(pipeline)) - message_ids_of(pipeline, "t-2")
    file = tmp_path / "message.json"

    with pytest.raises(UsageError, match=r"cannot be stored as a ticket: .* SAVE=<file>\.$"):
        dismiss(run(), message(unreadable), REASON, None)
    assert dismiss(run(), message(unreadable), REASON, file) == 0

    saved = json.loads(file.read_text())
    assert (saved["messageId"], saved["body"]) == (unreadable, '{"words": "of a customer"}')
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (line,) = decisions(pipeline)
    assert line["messageIds"] == [unreadable]
    assert line["savedTo"] == str(file)
    assert "customer" not in json.dumps(line).replace(REASON, "")
    assert [failure["input"]["ticketId"] for failure in pipeline.failed_messages()] == ["t-2"]


def message_ids_of(pipeline: Pipeline, ticket_id: str) -> set[str]:
    with pipeline.target.failed_tickets.held() as messages:
        return {one.id for one in messages if ticket_id in one.body}


@pytest.mark.parametrize("path", ["taken.json", "no-such-folder/message.json"])
def test_a_message_that_cannot_be_saved_stays(
    run: Callable[..., Run], pipeline: Pipeline, tmp_path: Path, path: str
) -> None:
    pipeline.queue("no JSON")
    (tmp_path / "taken.json").write_text("something else")
    (unreadable,) = message_ids(pipeline)

    with pytest.raises(UsageError, match=r"cannot be written: (File exists|No such file or directory)\.$"):
        dismiss(run(), message(unreadable), REASON, tmp_path / path)

    assert (tmp_path / "taken.json").read_text() == "something else"
    assert message_ids(pipeline) == [unreadable]
    assert decisions(pipeline) == []


def test_a_readable_message_stands_for_its_ticket(run: Callable[..., Run], pipeline: Pipeline) -> None:
    pipeline.fail("t-1")
    pipeline.queue_failure("t-1")
    (one,) = message_ids(pipeline)

    assert dismiss(run(), message(one), REASON, None) == 0

    dismissed = pipeline.table.get("t-1")
    assert dismissed
    assert dismissed.dismissed
    assert pipeline.failed_messages() == []


def test_of_several_submissions_under_one_id_one_has_to_be_chosen_by_its_message(
    run: Callable[..., Run], pipeline: Pipeline
) -> None:
    pipeline.queue_failure("t-1")
    pipeline.queue_failure("t-1", input=submission("t-1", "Something else."))
    one, other = message_ids(pipeline)

    with pytest.raises(UsageError) as refused:
        dismiss(run(), ticket("t-1"), REASON, None)
    assert dismiss(run(), message(one), REASON, None) == 0

    assert {one, other} <= set(str(refused.value).replace(",", "").rstrip(".").split())
    assert message_ids(pipeline) == [other]


def test_the_stale_message_of_a_processed_ticket_goes_and_the_ticket_stays_as_it_is(
    run: Callable[..., Run], pipeline: Pipeline
) -> None:
    pipeline.store("t-1")
    pipeline.process("t-1")
    pipeline.queue_failure("t-1")
    before = pipeline.table.get("t-1")

    assert dismiss(run(), ticket("t-1"), REASON, None) == 0

    assert pipeline.table.get("t-1") == before
    assert pipeline.failed_messages() == []


def test_a_ticket_that_was_restarted_meanwhile_is_not_dismissed(
    run: Callable[..., Run], pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.fail("t-1")
    pipeline.queue_failure("t-1")

    class Sts:
        """Answers just after somebody else replayed the ticket."""

        def get_caller_identity(self) -> dict[str, str]:
            pipeline.claim("t-1")
            return {"Arn": OPERATOR}

    sts: Any = Sts()

    assert dismiss(run(target=replace(pipeline.target, sts=sts)), ticket("t-1"), REASON, None) == 1

    assert "Not dismissed: ticket t-1 (ModelRejected) is being processed again, or waits for it.\n" in (
        capsys.readouterr().out
    )
    assert len(pipeline.failed_messages()) == 1
    assert decisions(pipeline) == []


def test_a_ticket_that_waits_to_be_replayed_is_not_dismissed(
    run: Callable[..., Run], pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.wait("t-1", "Replay", since=ago(minutes=1))
    assert dismiss(run(), ticket("t-1"), REASON, None) == 0
    pipeline.queue_failure("t-1")
    before = pipeline.table.get("t-1")

    assert dismiss(run(), ticket("t-1"), REASON, None) == 1

    said, refused = capsys.readouterr().out.splitlines()
    assert said == "Nothing to dismiss: ticket t-1 is in the waiting room, and goes on by itself."
    assert refused.startswith("Not dismissed: ticket t-1 (ModelRejected) is being processed again, or waits")
    assert pipeline.table.get("t-1") == before
    assert len(pipeline.failed_messages()) == 1


def test_a_ticket_that_sqs_took_out_of_the_waiting_room_is_dismissed_as_failed(
    run: Callable[..., Run], pipeline: Pipeline
) -> None:
    pipeline.defer("t-1")
    pipeline.queue_deferral("t-1", since=ago(hours=1))

    assert dismiss(run(), ticket("t-1"), REASON, None) == 0

    dismissed = pipeline.table.get("t-1")
    assert dismissed
    assert dismissed.status is Status.FAILED
    assert dismissed.dismissed
    assert dismissed.failure
    assert dismissed.failure["error"] == "ModelThrottled"
    assert (dismissed.waiting_since, dismissed.pending_since) == (None, None)
    assert pipeline.failed_messages() == []


def test_a_dry_run_says_what_would_happen_and_changes_nothing(
    run: Callable[..., Run], pipeline: Pipeline, capsys: Any, tmp_path: Path
) -> None:
    pipeline.queue("no JSON")
    (unreadable,) = message_ids(pipeline)
    pipeline.queue_failure("t-1", "StoreRejected")

    assert dismiss(run(dry_run=True), ticket("t-1"), REASON, None) == 0
    assert dismiss(run(dry_run=True), message(unreadable), REASON, tmp_path / "m.json") == 0

    assert capsys.readouterr().out.splitlines() == [
        "Would dismiss ticket t-1 (StoreRejected), which is stored first, and delete 1 message of it.",
        f"Would write message {unreadable} to {tmp_path}/m.json, and delete it.",
    ]
    assert pipeline.table.get("t-1") is None
    assert len(message_ids(pipeline)) == 2
    assert decisions(pipeline) == []
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_wait_for_a_decision_is_not_dismissed(
    run: Callable[..., Run], pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.store("t-1")
    pipeline.store("t-2")
    pipeline.process("t-2")

    assert dismiss(run(), ticket("t-1"), REASON, None) == 0
    assert dismiss(run(), ticket("t-2"), REASON, None) == 0
    for unknown in (ticket("nobody"), message("nothing")):
        with pytest.raises(
            UsageError, match=r"^There is no failed (ticket nobody|message nothing) in the st"
        ):
            dismiss(run(), unknown, REASON, None)

    in_the_works, processed = capsys.readouterr().out.splitlines()
    assert in_the_works == "Nothing to dismiss: ticket t-1 has not failed, it is RECEIVED."
    assert processed.startswith("Nothing to dismiss: ticket t-2 is processed (announced at 20")
