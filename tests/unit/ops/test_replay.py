"""Replay: every failed ticket once, wherever it is held; what cannot be replayed stays where it is."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ops.errors import UsageError
from ops.replay import Selection, replay
from ops.run import Run
from support.domain.ticket import timestamp
from support.domain.waiting import WaitingTicket
from tests.unit.ops.conftest import Pipeline, Sqs, ago, submission

EVERYTHING = Selection()


def test_where_nothing_failed_there_is_nothing_to_do(run: Callable[..., Run], capsys: Any) -> None:
    assert replay(run(), EVERYTHING) == 0

    assert capsys.readouterr().out == "Nothing failed in the stack: there is nothing to replay.\n"


def test_a_failed_ticket_and_its_message_are_one_line_and_one_replay(
    run: Callable[..., Run], pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.fail("t-1")
    pipeline.queue_failure("t-1")

    assert replay(run(), EVERYTHING) == 0

    assert capsys.readouterr().out.splitlines() == [
        "1 failed ticket in the stack:",
        "t-1  ModelRejected  59s ago  attempts 1  in table+queue",
        "t-1  processed",
        "1 of 1 processed.",
    ]
    assert len(pipeline.started) == 1
    assert pipeline.failed_messages() == pipeline.waiting_messages() == []


def test_a_failed_ticket_without_a_message_is_replayed_from_the_table(
    run: Callable[..., Run], pipeline: Pipeline
) -> None:
    pipeline.fail("t-1")

    assert replay(run(), EVERYTHING) == 0

    (message,) = pipeline.started
    assert message["input"]["request"] == {"content": "I was charged twice."}
    assert message["error"] == "ModelRejected"
    assert message["execution"] == "t-1"
    ticket = pipeline.table.get("t-1")
    assert ticket
    assert ticket.attempts == 2
    assert ticket.notified_at


def test_a_ticket_that_was_never_stored_is_replayed_from_its_message(
    run: Callable[..., Run], pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.queue_failure("t-1", "StoreRejected")

    assert replay(run(), EVERYTHING) == 0

    assert "t-1  StoreRejected  59s ago  attempts -  in queue\n" in capsys.readouterr().out
    ticket = pipeline.table.get("t-1")
    assert ticket
    assert ticket.notified_at


def test_several_messages_of_one_ticket_start_it_once(run: Callable[..., Run], pipeline: Pipeline) -> None:
    pipeline.fail("t-1")
    for number in range(3):
        pipeline.queue_failure("t-1", execution=f"arn:{number}", failedAt=timestamp(ago(minutes=number)))

    assert replay(run(), EVERYTHING) == 0

    assert [message["execution"] for message in pipeline.started] == ["arn:0"]
    assert pipeline.failed_messages() == []


def test_a_ticket_that_fails_again_is_named_with_its_error(
    run: Callable[..., Run], pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.fail("t-1")
    pipeline.error = "ModelThrottled"

    assert replay(run(), EVERYTHING) == 1

    assert capsys.readouterr().out.splitlines()[-2:] == [
        "t-1  failed again: ModelThrottled",
        "0 of 1 processed. Failed again: t-1.",
    ]


def test_a_ticket_that_cannot_be_stored_again_is_seen_to_fail_in_the_queue(
    run: Callable[..., Run], pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.queue("no JSON")
    pipeline.queue_failure("t-1", "StoreUnavailable")
    pipeline.stores = False

    assert replay(run(), EVERYTHING) == 1

    assert "t-1  failed again: StoreRejected\n" in capsys.readouterr().out
    assert len(pipeline.take(pipeline.target.failed_tickets_queue_url)) == 2


def test_a_ticket_that_is_given_up_before_it_was_claimed_has_failed_again(
    run: Callable[..., Run], pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.fail("t-1")

    def give_up(_seconds: float) -> None:
        pipeline.record_failure("t-1", "WaitedTooLong", "t-1-rabcdef12", ago())

    assert replay(run(pause=give_up), EVERYTHING) == 1

    assert "t-1  failed again: WaitedTooLong\n" in capsys.readouterr().out


def test_what_still_waits_at_the_deadline_goes_on_by_itself(
    run: Callable[..., Run], pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.fail("t-1")
    pipeline.queue_failure("t-2")
    pipeline.stands_still = True

    assert replay(run(deadline=0), EVERYTHING) == 0

    out = capsys.readouterr().out
    assert out.endswith(
        "\n0 of 2 processed. 2 still waiting after 0 s (1 for Replay): they go on by themselves.\n"
    )
    assert "fail again" not in out


def test_a_ticket_that_is_deferred_again_is_not_called_failed(
    run: Callable[..., Run], pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.fail("t-1")
    pipeline.deferred_by = "ModelThrottled"
    clock = Clock(pipeline, seconds=100)

    assert replay(run(deadline=250, clock=clock, pause=clock.pause), EVERYTHING) == 0

    assert capsys.readouterr().out.endswith(
        "\n0 of 1 processed. 1 still waiting after 250 s (1 for ModelThrottled): it goes on by itself.\n"
    )
    assert len(pipeline.started) == 3


class Clock:
    """A clock that goes on by so many seconds whenever somebody waits; the pipeline works meanwhile."""

    def __init__(self, pipeline: Pipeline, seconds: float) -> None:
        self._pipeline = pipeline
        self._seconds = seconds
        self._now = 0.0

    def __call__(self) -> float:
        return self._now

    def pause(self, _seconds: float) -> None:
        self._now += self._seconds
        self._pipeline.work()


def test_while_it_watches_it_says_now_and_then_how_far_it_is_and_how_long_the_rest_may_take(
    run: Callable[..., Run], pipeline: Pipeline, capsys: Any
) -> None:
    for number in range(8):
        pipeline.fail(f"t-{number}")
    pipeline.per_turn = 1
    clock = Clock(pipeline, seconds=25)

    assert replay(run(clock=clock, pause=clock.pause), EVERYTHING) == 0

    said = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("t-")][1:]
    assert said == [
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
def test_it_says_first_how_many_tickets_wait_for_what_and_how_long(
    run: Callable[..., Run], pipeline: Pipeline, capsys: Any, dry_run: bool
) -> None:
    for number in range(3):
        pipeline.defer(f"d-{number}", since=ago(minutes=14, seconds=30))
    pipeline.wait("w", "Replay", since=ago(minutes=2))

    assert replay(run(dry_run=dry_run), EVERYTHING) == 0

    assert capsys.readouterr().out.splitlines() == [
        "4 tickets wait: 3 for ModelThrottled, 1 for Replay; the oldest for 14 min.",
        "Nothing failed in the stack: there is nothing to replay.",
    ]


def test_a_second_replay_starts_nothing_twice(
    run: Callable[..., Run], pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.fail("t-1")
    pipeline.queue_failure("t-1")
    pipeline.fail("t-2")
    pipeline.stands_still = True
    replay(run(deadline=0), EVERYTHING)
    capsys.readouterr()

    assert replay(run(deadline=0), EVERYTHING) == 0

    assert capsys.readouterr().out.splitlines() == [
        "2 tickets wait: 2 for Replay; the oldest for 0 s.",
        "Nothing failed in the stack: there is nothing to replay.",
    ]
    assert len(pipeline.waiting_messages()) == 2


def test_a_waiting_ticket_is_called_waiting(run: Callable[..., Run], pipeline: Pipeline, capsys: Any) -> None:
    pipeline.defer("t-1", since=ago(minutes=14))

    assert replay(run(), Selection(ticket_id="t-1")) == 0

    assert capsys.readouterr().out.endswith(
        "\nTicket t-1 has been in the waiting room for 14 min (ModelThrottled): it goes on by itself.\n"
    )


@pytest.mark.parametrize("moves", [True, False])
def test_what_sqs_took_out_of_the_waiting_room_is_replayed_as_a_failure_and_its_wait_begins_anew(
    run: Callable[..., Run], pipeline: Pipeline, sqs: Any, capsys: Any, moves: bool
) -> None:
    client: Any = Sqs(sqs, moves=moves)
    pipeline.defer("t-1", since=ago(hours=30))
    pipeline.queue_deferral("t-1", since=ago(hours=30))
    pipeline.queue_failure("t-2")
    pipeline.stands_still = True

    assert replay(run(target=replace(pipeline.target, sqs=client), deadline=0), EVERYTHING) == 0

    assert "t-1  ModelThrottled  3m ago  attempts 1  in queue\n" in capsys.readouterr().out
    messages = pipeline.waiting_messages()
    assert sorted(message["input"]["ticketId"] for message in messages) == ["t-1", "t-2"]
    for message in messages:
        waiting = WaitingTicket.from_message(json.dumps(message), ago())
        assert ago(minutes=1) < waiting.since
        assert waiting.deaths == 0
        assert waiting.error in ("ModelThrottled", "ModelRejected")
    assert len(client.tasks) == int(moves)
    assert pipeline.failed_messages() == []


def test_a_message_that_the_consumer_would_refuse_is_completed(
    run: Callable[..., Run], pipeline: Pipeline
) -> None:
    pipeline.queue(json.dumps({"input": submission("t-1"), "execution": "by hand"}))

    assert replay(run(), EVERYTHING) == 0

    assert [message["execution"] for message in pipeline.started] == ["by hand"]
    assert pipeline.failed_messages() == []


def test_a_ticket_that_went_on_meanwhile_is_not_marked(run: Callable[..., Run], pipeline: Pipeline) -> None:
    pipeline.fail("t-1")
    moving: Any = Sqs(pipeline.target.sqs, moves=True)
    start = moving.start_message_move_task

    def move_and_work(**arns: str) -> None:
        start(**arns)
        pipeline.work()

    moving.start_message_move_task = move_and_work
    pipeline.queue_failure("t-1")

    assert replay(run(target=replace(pipeline.target, sqs=moving)), EVERYTHING) == 0

    ticket = pipeline.table.get("t-1")
    assert ticket
    assert ticket.notified_at
    assert ticket.waiting_since is None


def test_a_dry_run_lists_and_changes_nothing(
    run: Callable[..., Run], pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.fail("t-1")
    pipeline.queue_failure("t-2")
    before = pipeline.table.get("t-1")

    assert replay(run(dry_run=True), EVERYTHING) == 0

    out = capsys.readouterr().out.splitlines()
    assert out[0] == "No ticket waits in the waiting room."
    assert [line.split()[0] for line in out[1:]] == ["2", "t-1", "t-2", "Dry"]
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
def test_a_filter_replays_what_fits_and_gives_the_rest_back(
    run: Callable[..., Run], pipeline: Pipeline, selection: Selection, expected: list[str]
) -> None:
    failures = {
        "t-1": ("ModelRejected", ago(minutes=10)),
        "t-2": ("ModelThrottled", ago(minutes=90)),
        "t-3": ("ModelThrottled", ago(hours=3)),
    }
    for ticket_id, (error, since) in failures.items():
        pipeline.fail(ticket_id, error, since=since)
        pipeline.queue_failure(ticket_id, error, failedAt=timestamp(since))

    assert replay(run(), selection) == 0

    started = sorted(message["input"]["ticketId"] for message in pipeline.started)
    left = sorted(message["input"]["ticketId"] for message in pipeline.failed_messages())
    assert started == expected
    assert sorted(started + left) == ["t-1", "t-2", "t-3"]


def test_everything_is_moved_by_sqs_itself_where_it_can(
    run: Callable[..., Run], pipeline: Pipeline, sqs: Any
) -> None:
    moving: Any = Sqs(sqs, moves=True)
    pipeline.fail("t-1")
    pipeline.queue_failure("t-1")
    pipeline.queue_failure("t-2")
    pipeline.fail("t-3")

    assert replay(run(target=replace(pipeline.target, sqs=moving)), EVERYTHING) == 0

    assert len(moving.tasks) == 1
    assert sorted(message["input"]["ticketId"] for message in pipeline.started) == ["t-1", "t-2", "t-3"]


@pytest.mark.parametrize("moves", [True, False])
def test_tickets_with_priority_are_started_before_the_others(
    run: Callable[..., Run], pipeline: Pipeline, sqs: Any, moves: bool
) -> None:
    moving: Any = Sqs(sqs, moves=moves)
    pipeline.queue_failure("t-1")
    urgent = submission("t-2")
    urgent["request"]["priority"] = "high"
    pipeline.queue_failure("t-2", input=urgent)

    assert replay(run(target=replace(pipeline.target, sqs=moving)), EVERYTHING) == 0

    assert [message["input"]["ticketId"] for message in pipeline.started] == ["t-2", "t-1"]
    assert len(moving.tasks) == int(moves)


def test_a_filter_is_never_left_to_sqs(run: Callable[..., Run], pipeline: Pipeline, sqs: Any) -> None:
    moving: Any = Sqs(sqs, moves=True)
    pipeline.queue_failure("t-1")

    assert replay(run(target=replace(pipeline.target, sqs=moving)), Selection(ticket_id="t-1")) == 0

    assert moving.tasks == []


def test_a_move_that_sqs_gave_up_is_told(
    run: Callable[..., Run], pipeline: Pipeline, sqs: Any, capsys: Any
) -> None:
    class Broken(Sqs):
        def start_message_move_task(self, *, SourceArn: str, DestinationArn: str) -> None:  # noqa: N803
            self.tasks = [{"Status": "FAILED", "FailureReason": "AccessDenied"}]

    pipeline.queue_failure("t-1")
    broken: Any = Broken(sqs, moves=True)

    assert replay(run(target=replace(pipeline.target, sqs=broken), deadline=0), EVERYTHING) == 1

    assert "SQS stopped moving messages: AccessDenied; run this again.\n" in capsys.readouterr().out


def test_an_unknown_ticket_is_called_unknown(run: Callable[..., Run]) -> None:
    with pytest.raises(UsageError, match=r"^Ticket t-1 is unknown in the stack"):
        replay(run(), Selection(ticket_id="t-1"))


def test_a_processed_ticket_is_called_processed(
    run: Callable[..., Run], pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.store("t-1")
    pipeline.process("t-1")

    assert replay(run(), Selection(ticket_id="t-1")) == 0

    assert capsys.readouterr().out.startswith("Ticket t-1 is already processed (announced at 20")


def test_a_ticket_in_the_works_is_left_to_its_execution(
    run: Callable[..., Run], pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.store("t-1")

    assert replay(run(), Selection(ticket_id="t-1")) == 0

    assert capsys.readouterr().out.startswith("Ticket t-1 has not failed, it is RECEIVED")


def test_a_ticket_that_the_other_filters_leave_out_is_said_to_have_failed(
    run: Callable[..., Run], pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.fail("t-1")

    assert replay(run(), Selection(ticket_id="t-1", error="ModelThrottled")) == 0

    assert "does not fit the other filters" in capsys.readouterr().out


def test_a_processed_ticket_that_nobody_announced_is_replayed_by_its_id(
    run: Callable[..., Run], pipeline: Pipeline
) -> None:
    pipeline.store("t-1")
    pipeline.process("t-1")
    pipeline.target.dynamodb.update_item(
        TableName=pipeline.target.tickets_table,
        Key={"ticketId": {"S": "t-1"}},
        UpdateExpression="REMOVE notifiedAt",
    )

    assert replay(run(), Selection(ticket_id="t-1")) == 0

    assert len(pipeline.started) == 1


def test_the_stale_message_of_a_processed_ticket_is_cleared_away(
    run: Callable[..., Run], pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.store("t-1")
    pipeline.process("t-1")
    pipeline.queue_failure("t-1")
    before = pipeline.table.get("t-1")

    assert replay(run(), EVERYTHING) == 0

    out = capsys.readouterr().out
    assert "attempts 1  in queue  processed since\n" in out
    assert "t-1  already processed\n" in out
    assert pipeline.failed_messages() == []
    assert pipeline.table.get("t-1") == before


@pytest.mark.parametrize(
    "body",
    [
        "no JSON",
        "[]",
        "null",
        '{"input": []}',
        '{"input": [], "execution": ""}',
        '{"input": {}, "execution": ""}',
        '{"input": {"ticketId": "t-9"}, "execution": "e"}',
        "[" * 100_000,
    ],
)
def test_a_message_from_which_nothing_can_be_started_stays_and_is_told(
    run: Callable[..., Run], pipeline: Pipeline, capsys: Any, body: str
) -> None:
    pipeline.queue(body)
    pipeline.queue_failure("t-1")

    assert replay(run(), EVERYTHING) == 1

    out = capsys.readouterr().out
    assert "s old) stays: " in out
    assert "t-1  processed\n" in out
    assert pipeline.take(pipeline.target.failed_tickets_queue_url) == [body]


def test_an_item_that_is_not_a_ticket_keeps_nobody_from_replaying_the_others(
    run: Callable[..., Run], pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.fail("t-1")
    pipeline.fail("t-2")
    pipeline.target.dynamodb.update_item(
        TableName=pipeline.target.tickets_table,
        Key={"ticketId": {"S": "t-2"}},
        UpdateExpression="SET updatedAt = :broken",
        ExpressionAttributeValues={":broken": {"S": "yesterday"}},
    )

    assert replay(run(), EVERYTHING) == 1

    assert "Ticket t-2 stays: updatedAt is not a time.\n" in capsys.readouterr().out
    assert [message["input"]["ticketId"] for message in pipeline.started] == ["t-1"]


def test_several_submissions_under_one_id_are_all_replayed(
    run: Callable[..., Run], pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.fail("t-1")
    pipeline.queue_failure("t-1")
    pipeline.queue_failure("t-1", "StoreRejected", input=submission("t-1", "Something else."))

    assert replay(run(), EVERYTHING) == 0

    assert capsys.readouterr().out.splitlines()[-1] == "2 of 2 processed."
    stored = pipeline.target.dynamodb.scan(TableName=pipeline.target.tickets_table)["Items"]
    assert sorted(item["content"]["S"] for item in stored) == ["I was charged twice.", "Something else."]
    assert pipeline.failed_messages() == []


def test_where_nothing_can_be_replayed_nothing_is_watched(
    run: Callable[..., Run], pipeline: Pipeline, capsys: Any
) -> None:
    pipeline.queue("no JSON")

    assert replay(run(), EVERYTHING) == 1
    assert replay(run(dry_run=True), EVERYTHING) == 0

    assert "processed" not in capsys.readouterr().out


def test_nothing_that_a_customer_wrote_is_printed(
    run: Callable[..., Run], pipeline: Pipeline, capsys: Any
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

    replay(run(), EVERYTHING)

    output = capsys.readouterr()
    assert "hunter2" not in output.out + output.err
    assert "\x1b" not in output.out + output.err
    assert "t-1  ??31mEr?ror" in output.out


def test_a_failure_without_a_usable_time_counts_from_when_it_was_sent(
    run: Callable[..., Run], pipeline: Pipeline
) -> None:
    for number, moment in enumerate(["yesterday", None, "2020-01-01T00:00:00"]):
        pipeline.queue_failure(f"t-{number}", failedAt=moment)

    assert replay(run(), Selection(since=timedelta(minutes=1))) == 0

    assert len(pipeline.started) == 3


def test_the_index_is_read_page_by_page(run: Callable[..., Run], pipeline: Pipeline) -> None:
    for number in range(5):
        pipeline.fail(f"t-{number}")
    pipeline.target.dynamodb.meta.events.register(
        "provide-client-params.dynamodb.Query", lambda params, **_: params | {"Limit": 2}
    )

    assert replay(run(), EVERYTHING) == 0

    assert sorted(message["input"]["ticketId"] for message in pipeline.started) == [
        f"t-{number}" for number in range(5)
    ]
