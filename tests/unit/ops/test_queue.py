"""Reading a queue takes nothing from it, and moving a message loses none, on moto's SQS."""

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ops.queue import Message, Queue
from tests.unit.ops.conftest import Pipeline


def test_messages_that_are_held_are_hidden_and_then_given_back(pipeline: Pipeline) -> None:
    queue = pipeline.target.failed_tickets
    queue.send("one")

    with queue.held() as messages:
        assert [message.body for message in messages] == ["one"]
        assert pipeline.take(pipeline.target.failed_tickets_queue_url) == []

    assert pipeline.take(pipeline.target.failed_tickets_queue_url) == ["one"]


def test_messages_are_given_back_when_the_reader_fails(pipeline: Pipeline) -> None:
    queue = pipeline.target.failed_tickets
    queue.send("one")

    with pytest.raises(RuntimeError, match="reader"), queue.held():
        raise RuntimeError("the reader failed")

    assert pipeline.take(pipeline.target.failed_tickets_queue_url) == ["one"]


def test_a_queue_is_read_to_its_end_and_given_back_whole(pipeline: Pipeline) -> None:
    bodies = {f"message {number}" for number in range(25)}
    for body in bodies:
        pipeline.target.failed_tickets.send(body)

    with pipeline.target.failed_tickets.held() as messages:
        assert {message.body for message in messages} == bodies

    assert set(pipeline.take(pipeline.target.failed_tickets_queue_url)) == bodies


def test_reading_ends_though_messages_become_visible_again_meanwhile(pipeline: Pipeline) -> None:
    class Forgetful:
        """A queue so long that nothing stays hidden until its end."""

        def receive_message(self, **arguments: Any) -> Any:
            return pipeline.target.sqs.receive_message(**arguments | {"VisibilityTimeout": 0})

        def __getattr__(self, name: str) -> Any:
            return getattr(pipeline.target.sqs, name)

    client: Any = Forgetful()
    queue = Queue(client, pipeline.target.failed_tickets_queue_url, wait_seconds=0)
    queue.send("one")

    with queue.held() as messages:
        assert [message.body for message in messages] == ["one"]


def test_a_moved_message_keeps_its_text_and_attributes(pipeline: Pipeline) -> None:
    pipeline.queue("one ☂")

    with pipeline.target.failed_tickets.held() as messages:
        (message,) = messages
        messages.move(message, pipeline.target.waiting_room)

    with pipeline.target.waiting_room.held() as moved:
        (there,) = moved
    assert there.body == "one ☂"
    assert there.attributes["error"]["StringValue"] == "E"
    assert pipeline.failed_messages() == []


def test_a_message_whose_deletion_fails_is_in_both_queues_rather_than_in_none(pipeline: Pipeline) -> None:
    pipeline.queue("{}")
    unknown = Message(id="id", receipt="unknown", body="{}", attributes={}, sent_at=datetime.now(UTC))

    with pipeline.target.failed_tickets.held() as messages, pytest.raises(ClientError):
        messages.move(unknown, pipeline.target.waiting_room)

    assert pipeline.failed_messages() == [{}]
    assert pipeline.waiting_messages() == [{}]


def test_what_is_being_worked_on_counts_as_waiting(pipeline: Pipeline) -> None:
    queue = pipeline.target.waiting_room
    queue.send("one")
    queue.send("two")

    with queue.held() as messages:
        messages.delete(next(iter(messages)))

        assert queue.waiting() == 1
