"""Replay: every failed ticket is restarted once; what cannot be replayed stays in the queue."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ops.options import UsageError
from ops.replay import Selection, replay
from support.domain.ticket import timestamp
from support.domain.waiting import WaitingTicket
from tests.ops.conftest import ContextFactory, MovingSqs, Pipeline, ago, submission

EVERYTHING = Selection()


def test_without_failed_tickets_there_is_nothing_to_replay(context: ContextFactory, capsys: Any) -> None:
    assert replay(context(), EVERYTHING) == 0

    assert capsys.readouterr().out == "Nothing failed in the stack: there is nothing to replay.\n"


def test_a_failed_ticket_with_a_message_is_listed_and_replayed_once(
    context: ContextFactory, pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.fail("t-1")
    pipeline.queue_failure("t-1")

    assert replay(context(), EVERYTHING) == 0

    assert capsys.readouterr().out.splitlines() == [
        "1 failed ticket in the stack:",
        "t-1  ModelRejected  59s ago  attempts 1  in table+queue  FAILED",
        "t-1  processed",
        "1 of 1 processed.",
    ]
    assert len(pipeline.consumed) == 1
    assert pipeline.failed_messages() == pipeline.waiting_messages() == []


def test_a_failed_ticket_without_a_message_is_replayed_from_the_table(
    context: ContextFactory, pipeline: Pipeline
) -> None:
    pipeline.fail("t-1")

    assert replay(context(), EVERYTHING) == 0

    (message,) = pipeline.consumed
    assert message["input"]["request"] == {"content": "I was charged twice."}
    assert message["error"] == "ModelRejected"
    assert message["execution"] == "t-1"
    ticket = pipeline.table.get("t-1")
    assert ticket
    assert ticket.attempts == 2
    assert ticket.notified_at


def test_a_ticket_that_was_never_stored_is_replayed_from_its_message(
    context: ContextFactory, pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.queue_failure("t-1", "StoreRejected")

    assert replay(context(), EVERYTHING) == 0

    assert "t-1  StoreRejected  59s ago  attempts -  in queue  not stored\n" in capsys.readouterr().out
    ticket = pipeline.table.get("t-1")
    assert ticket
    assert ticket.notified_at


def test_several_messages_of_one_ticket_restart_it_once(context: ContextFactory, pipeline: Pipeline) -> None:
    pipeline.fail("t-1")
    for number in range(3):
        pipeline.queue_failure("t-1", execution=f"arn:{number}", failedAt=timestamp(ago(minutes=number)))

    assert replay(context(), EVERYTHING) == 0

    assert [message["execution"] for message in pipeline.consumed] == ["arn:0"]
    assert pipeline.failed_messages() == []


def test_a_ticket_that_fails_again_is_reported_with_its_error(
    context: ContextFactory, pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.fail("t-1")
    pipeline.error = "ModelThrottled"

    assert replay(context(), EVERYTHING) == 1

    assert capsys.readouterr().out.splitlines()[-2:] == [
        "t-1  failed again: ModelThrottled",
        "0 of 1 processed. Failed again: t-1.",
    ]


def test_a_failure_that_only_the_queue_contains_is_reported(
    context: ContextFactory, pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.queue_message("not JSON")
    pipeline.queue_failure("t-1", "StoreUnavailable")
    pipeline.can_store = False

    assert replay(context(), EVERYTHING) == 1

    assert "t-1  failed again: StoreRejected\n" in capsys.readouterr().out
    assert len(pipeline.receive(pipeline.target.failed_tickets_queue_url)) == 2


def test_a_ticket_that_fails_in_the_waiting_room_has_failed_again(
    context: ContextFactory, pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.fail("t-1")

    def fail_in_waiting_room(_seconds: float) -> None:
        pipeline.record_failure("t-1", "WaitedTooLong", "t-1-rabcdef12", ago())

    assert replay(context(sleep=fail_in_waiting_room), EVERYTHING) == 1

    assert "t-1  failed again: WaitedTooLong\n" in capsys.readouterr().out


def test_a_ticket_that_is_waiting_at_the_deadline_continues_automatically(
    context: ContextFactory, pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.fail("t-1")
    pipeline.queue_failure("t-2")
    pipeline.is_stopped = True

    assert replay(context(deadline=0), EVERYTHING) == 0

    out = capsys.readouterr().out
    assert out.endswith(
        "\n0 of 2 processed. 2 still waiting after 0 s (1 for Replay): they continue automatically.\n"
    )
    assert "fail again" not in out


def test_a_ticket_that_is_deferred_again_has_not_failed(
    context: ContextFactory, pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.fail("t-1")
    pipeline.deferral_error = "ModelThrottled"
    clock = Clock(pipeline, seconds=100)

    assert replay(context(deadline=250, clock=clock, sleep=clock.sleep), EVERYTHING) == 0

    assert capsys.readouterr().out.splitlines()[-1] == (
        "0 of 1 processed. 1 still waiting after 250 s (1 for ModelThrottled): it continues automatically."
    )
    assert len(pipeline.consumed) == 3


def test_a_mass_replay_polls_more_slowly_but_not_past_its_deadline(
    context: ContextFactory, pipeline: Pipeline
) -> None:
    for number in range(120):
        pipeline.queue_failure(f"t-{number}")
    pipeline.is_stopped = True
    pauses: list[float] = []

    replay(context(deadline=2, clock=lambda: sum(pauses), sleep=pauses.append), EVERYTHING)

    assert pauses == [1.2, 1]


class Clock:
    """A clock that advances by so many seconds per sleep, during which the pipeline consumes messages."""

    def __init__(self, pipeline: Pipeline, seconds: float) -> None:
        self._pipeline = pipeline
        self._seconds = seconds
        self._now = 0.0

    def __call__(self) -> float:
        return self._now

    def sleep(self, _seconds: float) -> None:
        self._now += self._seconds
        self._pipeline.consume()


def test_the_progress_is_written_periodically_with_the_time_left(
    context: ContextFactory, pipeline: Pipeline, capsys: Any
) -> None:
    for number in range(8):
        pipeline.fail(f"t-{number}")
    pipeline.batch_size = 1
    clock = Clock(pipeline, seconds=25)

    assert replay(context(clock=clock, sleep=clock.sleep), EVERYTHING) == 0

    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("t-")][1:]
    assert lines == [
        "1 of 8 processed",
        "2 of 8 processed, about 2 min left",
        "3 of 8 processed, about 2 min left",
        "4 of 8 processed, about 2 min left",
        "5 of 8 processed, about 1 min left",
        "6 of 8 processed, less than a minute left",
        "7 of 8 processed, less than a minute left",
        "8 of 8 processed.",
    ]


@pytest.mark.parametrize("dry_run", [True, False])
def test_the_waiting_tickets_are_listed_first(
    context: ContextFactory, pipeline: Pipeline, capsys: Any, dry_run: bool
) -> None:
    for number in range(3):
        pipeline.defer(f"d-{number}", since=ago(minutes=14, seconds=30))
    pipeline.wait("w", "Replay", since=ago(minutes=2))

    assert replay(context(dry_run=dry_run), EVERYTHING) == 0

    assert capsys.readouterr().out.splitlines() == [
        "4 tickets are waiting: 3 for ModelThrottled, 1 for Replay; the oldest for 14 min.",
        "Nothing failed in the stack: there is nothing to replay.",
    ]


def test_a_second_replay_restarts_nothing_twice(
    context: ContextFactory, pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.fail("t-1")
    pipeline.queue_failure("t-1")
    pipeline.fail("t-2")
    pipeline.is_stopped = True
    replay(context(deadline=0), EVERYTHING)
    capsys.readouterr()

    assert replay(context(deadline=0), EVERYTHING) == 0

    assert capsys.readouterr().out.splitlines() == [
        "2 tickets are waiting: 2 for Replay; the oldest for 0 s.",
        "Nothing failed in the stack: there is nothing to replay.",
    ]
    assert len(pipeline.waiting_messages()) == 2


def test_a_selected_ticket_that_is_waiting_is_not_replayed(
    context: ContextFactory, pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.defer("t-1", since=ago(minutes=14))

    assert replay(context(), Selection(ticket_id="t-1")) == 0

    assert capsys.readouterr().out.endswith(
        "\nTicket t-1 has been in the waiting room for 14 min (ModelThrottled): it continues automatically.\n"
    )


@pytest.mark.parametrize("moves", [True, False])
def test_a_message_that_sqs_moved_from_the_waiting_room_is_replayed_with_a_new_waiting_time(
    context: ContextFactory, pipeline: Pipeline, sqs: Any, capsys: Any, moves: bool
) -> None:
    client: Any = MovingSqs(sqs, can_move=moves)
    pipeline.defer("t-1", since=ago(hours=30))
    pipeline.queue_deferral("t-1", since=ago(hours=30))
    pipeline.queue_failure("t-2")
    pipeline.is_stopped = True

    assert replay(context(target=replace(pipeline.target, sqs=client), deadline=0), EVERYTHING) == 0

    assert "t-1  ModelThrottled  3m ago  attempts 1  in queue  RECEIVED\n" in capsys.readouterr().out
    messages = pipeline.waiting_messages()
    assert sorted(message["input"]["ticketId"] for message in messages) == ["t-1", "t-2"]
    for message in messages:
        waiting = WaitingTicket.from_message(json.dumps(message), ago())
        assert ago(minutes=1) < waiting.since
        assert waiting.deaths == 0
        assert waiting.error in ("ModelThrottled", "ModelRejected")
    assert len(client.tasks) == int(moves)
    assert pipeline.failed_messages() == []


def test_a_message_without_an_error_is_completed_for_the_consumer(
    context: ContextFactory, pipeline: Pipeline
) -> None:
    pipeline.queue_message(json.dumps({"input": submission("t-1"), "execution": "by hand"}))

    assert replay(context(), EVERYTHING) == 0

    assert [message["execution"] for message in pipeline.consumed] == ["by hand"]
    assert pipeline.failed_messages() == []


def test_a_ticket_that_is_already_processed_is_not_marked_as_waiting(
    context: ContextFactory, pipeline: Pipeline
) -> None:
    pipeline.fail("t-1")
    moving: Any = MovingSqs(pipeline.target.sqs, can_move=True)
    start = moving.start_message_move_task

    def move_and_consume(**arns: str) -> None:
        start(**arns)
        pipeline.consume()

    moving.start_message_move_task = move_and_consume
    pipeline.queue_failure("t-1")

    assert replay(context(target=replace(pipeline.target, sqs=moving)), EVERYTHING) == 0

    ticket = pipeline.table.get("t-1")
    assert ticket
    assert ticket.notified_at
    assert ticket.waiting_since is None


def test_a_dry_run_lists_the_tickets_and_changes_nothing(
    context: ContextFactory, pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.fail("t-1")
    pipeline.queue_failure("t-2")
    before = pipeline.table.get("t-1")

    assert replay(context(dry_run=True), EVERYTHING) == 0

    out = capsys.readouterr().out.splitlines()
    assert out[0] == "No tickets are waiting."
    assert [line.split()[0] for line in out[1:]] == ["2", "t-1", "t-2", "2", "Dry"]
    assert out[-2] == "2 tickets with ModelRejected: no"
    assert pipeline.table.get("t-1") == before
    assert [message["input"]["ticketId"] for message in pipeline.failed_messages()] == ["t-2"]
    assert pipeline.waiting_messages() == []


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(ticket_id="t-2"), ["t-2"]),
        (Selection(error="ModelThrottled"), ["t-2", "t-3"]),
        (Selection(since=timedelta(hours=2)), ["t-1", "t-2"]),
        (Selection(since=timedelta(hours=2), error="ModelThrottled"), ["t-2"]),
    ],
)
def test_only_the_tickets_that_match_the_filters_are_replayed(
    context: ContextFactory, pipeline: Pipeline, selection: Selection, expected: list[str]
) -> None:
    failures = {
        "t-1": ("ModelRejected", ago(minutes=10)),
        "t-2": ("ModelThrottled", ago(minutes=90)),
        "t-3": ("ModelThrottled", ago(hours=3)),
    }
    for ticket_id, (error, since) in failures.items():
        pipeline.fail(ticket_id, error, since=since)
        pipeline.queue_failure(ticket_id, error, failedAt=timestamp(since))

    assert replay(context(), selection) == 0

    started = sorted(message["input"]["ticketId"] for message in pipeline.consumed)
    left = sorted(message["input"]["ticketId"] for message in pipeline.failed_messages())
    assert started == expected
    assert sorted(started + left) == ["t-1", "t-2", "t-3"]


def test_sqs_moves_all_messages_itself_if_it_can(
    context: ContextFactory, pipeline: Pipeline, sqs: Any
) -> None:
    moving: Any = MovingSqs(sqs, can_move=True)
    pipeline.fail("t-1")
    pipeline.queue_failure("t-1")
    pipeline.queue_failure("t-2")
    pipeline.fail("t-3")

    assert replay(context(target=replace(pipeline.target, sqs=moving)), EVERYTHING) == 0

    assert len(moving.tasks) == 1
    assert sorted(message["input"]["ticketId"] for message in pipeline.consumed) == ["t-1", "t-2", "t-3"]


@pytest.mark.parametrize("moves", [True, False])
def test_tickets_with_priority_are_restarted_first(
    context: ContextFactory, pipeline: Pipeline, sqs: Any, moves: bool
) -> None:
    moving: Any = MovingSqs(sqs, can_move=moves)
    pipeline.queue_failure("t-1")
    urgent = submission("t-2")
    urgent["request"]["priority"] = "high"
    pipeline.queue_failure("t-2", input=urgent)

    assert replay(context(target=replace(pipeline.target, sqs=moving)), EVERYTHING) == 0

    assert [message["input"]["ticketId"] for message in pipeline.consumed] == ["t-2", "t-1"]
    assert len(moving.tasks) == int(moves)


def test_sqs_does_not_move_all_messages_when_a_filter_is_set(
    context: ContextFactory, pipeline: Pipeline, sqs: Any
) -> None:
    moving: Any = MovingSqs(sqs, can_move=True)
    pipeline.queue_failure("t-1")

    assert replay(context(target=replace(pipeline.target, sqs=moving)), Selection(ticket_id="t-1")) == 0

    assert moving.tasks == []


def test_a_move_that_failed_is_reported(
    context: ContextFactory, pipeline: Pipeline, sqs: Any, capsys: Any
) -> None:
    class FailingSqs(MovingSqs):
        def start_message_move_task(self, *, SourceArn: str, DestinationArn: str) -> None:  # noqa: N803
            self.tasks = [{"Status": "FAILED", "FailureReason": "AccessDenied"}]

    pipeline.queue_failure("t-1")
    failing: Any = FailingSqs(sqs, can_move=True)

    assert replay(context(target=replace(pipeline.target, sqs=failing), deadline=0), EVERYTHING) == 1

    assert "SQS stopped moving messages: AccessDenied. Run this command again.\n" in capsys.readouterr().out


def test_an_unknown_ticket_is_an_error(context: ContextFactory) -> None:
    with pytest.raises(UsageError, match=r"^Ticket t-1 does not exist in the stack"):
        replay(context(), Selection(ticket_id="t-1"))


def test_a_processed_ticket_is_not_replayed(context: ContextFactory, pipeline: Pipeline, capsys: Any) -> None:
    pipeline.store("t-1")
    pipeline.process("t-1")

    assert replay(context(), Selection(ticket_id="t-1")) == 0

    assert capsys.readouterr().out.startswith("Ticket t-1 is already processed (notification sent at 20")


def test_a_ticket_that_is_being_processed_is_not_replayed(
    context: ContextFactory, pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.store("t-1")

    assert replay(context(), Selection(ticket_id="t-1")) == 0

    assert capsys.readouterr().out.startswith("Ticket t-1 has not failed, its status is RECEIVED")


def test_a_selected_ticket_that_the_other_filters_exclude_is_reported(
    context: ContextFactory, pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.fail("t-1")

    assert replay(context(), Selection(ticket_id="t-1", error="ModelThrottled")) == 0

    assert "the other filters exclude it" in capsys.readouterr().out


def test_a_processed_ticket_without_a_notification_is_replayed_by_its_id(
    context: ContextFactory, pipeline: Pipeline
) -> None:
    pipeline.store("t-1")
    pipeline.process("t-1")
    pipeline.target.dynamodb.update_item(
        TableName=pipeline.target.tickets_table,
        Key={"ticketId": {"S": "t-1"}},
        UpdateExpression="REMOVE notifiedAt",
    )

    assert replay(context(), Selection(ticket_id="t-1")) == 0

    assert len(pipeline.consumed) == 1


def test_the_stale_message_of_a_processed_ticket_is_removed(
    context: ContextFactory, pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.store("t-1")
    pipeline.process("t-1")
    pipeline.queue_failure("t-1")
    before = pipeline.table.get("t-1")

    assert replay(context(), EVERYTHING) == 0

    out = capsys.readouterr().out
    assert "attempts 1  in queue  already processed\n" in out
    assert "t-1  already processed\n" in out
    assert pipeline.failed_messages() == []
    assert pipeline.table.get("t-1") == before


@pytest.mark.parametrize(
    "body",
    [
        "not JSON",
        "[]",
        "null",
        '{"input": []}',
        '{"input": [], "execution": ""}',
        '{"input": {}, "execution": ""}',
        '{"input": {"ticketId": "t-9"}, "execution": "e"}',
        "[" * 100_000,
    ],
)
def test_an_unreadable_message_is_reported_and_stays_in_the_queue(
    context: ContextFactory, pipeline: Pipeline, capsys: Any, body: str
) -> None:
    pipeline.queue_message(body)
    pipeline.queue_failure("t-1")

    assert replay(context(), EVERYTHING) == 1

    out = capsys.readouterr().out
    assert "s old) is skipped: " in out
    assert "t-1  processed\n" in out
    assert pipeline.receive(pipeline.target.failed_tickets_queue_url) == [body]


def test_an_unreadable_ticket_does_not_prevent_the_replay_of_the_others(
    context: ContextFactory, pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.fail("t-1")
    pipeline.fail("t-2")
    pipeline.target.dynamodb.update_item(
        TableName=pipeline.target.tickets_table,
        Key={"ticketId": {"S": "t-2"}},
        UpdateExpression="SET updatedAt = :broken",
        ExpressionAttributeValues={":broken": {"S": "yesterday"}},
    )

    assert replay(context(), EVERYTHING) == 1

    assert "Ticket t-2 is skipped: updatedAt is not a time.\n" in capsys.readouterr().out
    assert [message["input"]["ticketId"] for message in pipeline.consumed] == ["t-1"]


def test_all_submissions_with_the_same_id_are_replayed(
    context: ContextFactory, pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.fail("t-1")
    pipeline.queue_failure("t-1")
    pipeline.queue_failure("t-1", "StoreRejected", input=submission("t-1", "Something else."))

    assert replay(context(), EVERYTHING) == 0

    assert capsys.readouterr().out.splitlines()[-1] == "2 of 2 processed."
    stored = pipeline.target.dynamodb.scan(TableName=pipeline.target.tickets_table)["Items"]
    assert sorted(item["content"]["S"] for item in stored) == ["I was charged twice.", "Something else."]
    assert pipeline.failed_messages() == []


def test_without_a_readable_ticket_nothing_is_replayed(
    context: ContextFactory, pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.queue_message("not JSON")

    assert replay(context(), EVERYTHING) == 1
    assert replay(context(dry_run=True), EVERYTHING) == 0

    assert "processed" not in capsys.readouterr().out


def test_the_customers_text_is_never_printed(
    context: ContextFactory, pipeline: Pipeline, capsys: Any
) -> None:
    secret = "\x1b[31mMy password is hunter2"
    pipeline.queue_failure(
        "t-1",
        input={**submission("t-1", secret), "extra": secret},
        error="\x1b[31mEr\nror",
        cause=secret,
    )
    pipeline.queue_failure("t-2", input={"ticketId": "t-2", "request": {"content": secret}}, cause=secret)
    pipeline.queue_failure("t-3", input=submission("t-\x1b[1m[red]3", secret))

    replay(context(), EVERYTHING)

    output = capsys.readouterr()
    assert "hunter2" not in output.out + output.err
    assert "\x1b" not in output.out + output.err
    assert "t-1  ??31mEr?ror" in output.out


def test_a_failure_without_a_valid_time_has_the_time_of_its_message(
    context: ContextFactory, pipeline: Pipeline
) -> None:
    for number, moment in enumerate(["yesterday", None, "2020-01-01T00:00:00"]):
        pipeline.queue_failure(f"t-{number}", failedAt=moment)

    assert replay(context(), Selection(since=timedelta(minutes=1))) == 0

    assert len(pipeline.consumed) == 3


def test_all_pages_of_the_index_are_read(context: ContextFactory, pipeline: Pipeline) -> None:
    for number in range(5):
        pipeline.fail(f"t-{number}")
    pipeline.target.dynamodb.meta.events.register(
        "provide-client-params.dynamodb.Query", lambda params, **_: params | {"Limit": 2}
    )

    assert replay(context(), EVERYTHING) == 0

    assert sorted(message["input"]["ticketId"] for message in pipeline.consumed) == [
        f"t-{number}" for number in range(5)
    ]
