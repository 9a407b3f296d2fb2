"""Reading a queue removes nothing, and moving a message loses none; on moto's SQS."""

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ops.queue import Message, Queue
from tests.ops.conftest import Pipeline


def test_received_messages_are_hidden_and_then_released(pipeline: Pipeline) -> None:
    queue = pipeline.target.failed_tickets_queue
    queue.send("one")

    with queue.receive_all() as messages:
        assert [message.body for message in messages] == ["one"]
        assert pipeline.receive(pipeline.target.failed_tickets_queue_url) == []

    assert pipeline.receive(pipeline.target.failed_tickets_queue_url) == ["one"]


def test_messages_are_released_after_an_error(pipeline: Pipeline) -> None:
    queue = pipeline.target.failed_tickets_queue
    queue.send("one")

    with pytest.raises(RuntimeError, match="handler"), queue.receive_all():
        raise RuntimeError("the handler failed")

    assert pipeline.receive(pipeline.target.failed_tickets_queue_url) == ["one"]


def test_all_messages_are_received_and_released(pipeline: Pipeline) -> None:
    bodies = {f"message {number}" for number in range(25)}
    for body in bodies:
        pipeline.target.failed_tickets_queue.send(body)

    with pipeline.target.failed_tickets_queue.receive_all() as messages:
        assert {message.body for message in messages} == bodies

    assert set(pipeline.receive(pipeline.target.failed_tickets_queue_url)) == bodies


def test_reading_ends_when_messages_become_visible_again(pipeline: Pipeline) -> None:
    class SqsWithoutTimeout:
        """SQS with so many messages that the first ones are visible again before the last one is received."""

        def receive_message(self, **arguments: Any) -> Any:
            return pipeline.target.sqs.receive_message(**arguments | {"VisibilityTimeout": 0})

        def __getattr__(self, name: str) -> Any:
            return getattr(pipeline.target.sqs, name)

    client: Any = SqsWithoutTimeout()
    queue = Queue(client, pipeline.target.failed_tickets_queue_url, wait_seconds=0)
    queue.send("one")

    with queue.receive_all() as messages:
        assert [message.body for message in messages] == ["one"]


def test_a_moved_message_keeps_its_body_and_attributes(pipeline: Pipeline) -> None:
    pipeline.queue_message("one ☂")

    with pipeline.target.failed_tickets_queue.receive_all() as messages:
        (message,) = messages
        messages.move(message, pipeline.target.waiting_room)

    with pipeline.target.waiting_room.receive_all() as moved:
        (there,) = moved
    assert there.body == "one ☂"
    assert there.attributes["error"]["StringValue"] == "E"
    assert pipeline.failed_messages() == []


def test_a_moved_message_whose_deletion_fails_is_in_both_queues(pipeline: Pipeline) -> None:
    pipeline.queue_message("{}")
    unknown = Message(id="id", receipt="unknown", body="{}", attributes={}, sent_at=datetime.now(UTC))

    with pipeline.target.failed_tickets_queue.receive_all() as messages, pytest.raises(ClientError):
        messages.move(unknown, pipeline.target.waiting_room)

    assert pipeline.failed_messages() == [{}]
    assert pipeline.waiting_messages() == [{}]


def test_the_size_includes_messages_in_flight(pipeline: Pipeline) -> None:
    queue = pipeline.target.waiting_room
    queue.send("one")
    queue.send("two")

    with queue.receive_all() as messages:
        messages.delete(next(iter(messages)))

        assert queue.size() == 1
