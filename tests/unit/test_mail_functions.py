"""The functions that send mail: no notification is lost, and SNS's rate limit for e-mail is respected."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.aws import clients
from support.aws.mail_topic import SECONDS_PER_MAIL, MailTopic
from support.aws.queues import DigestQueue
from support.background import digest, mail
from support.domain.errors import NotifyUnavailable, QueueUnavailable
from support.domain.mail_text import Mail
from tests.helpers.aws_clients import aws_client
from tests.helpers.lambda_context import lambda_context
from tests.helpers.queues import receive_all

TICKET = json.loads((Path(__file__).parents[2] / "events" / "notify" / "processed.json").read_text())[
    "ticket"
]
MAIL = Mail("subject", "text")

type Mailbox = Callable[[], list[dict[str, str]]]


def document(number: int, urgency: str = "HIGH") -> str:
    return json.dumps(
        TICKET | {"ticketId": f"ticket-{number}", "analysis": TICKET["analysis"] | {"urgency": urgency}}
    )


def run_digest() -> dict[str, int]:
    return dict(digest.handler({}, lambda_context(remaining_milliseconds=120_000)))


def batch(*documents: str) -> dict[str, Any]:
    return {"Records": [{"messageId": str(n), "body": body} for n, body in enumerate(documents)]}


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Sns:
    """An SNS client that records when it published, and may then fail."""

    def __init__(self, clock: Clock, fails: bool = False) -> None:
        self.published_at: list[float] = []
        self._clock = clock
        self._fails = fails

    def get_topic_attributes(self, **_: str) -> dict[str, dict[str, str]]:
        return {"Attributes": {"SubscriptionsConfirmed": "1"}}

    def publish(self, **_: str) -> None:
        self.published_at.append(self._clock.now)
        if self._fails:
            raise TimeoutError


def failing_topic() -> MailTopic:
    clock = Clock()
    return MailTopic(Sns(clock, fails=True), "arn:mail", min_subscriptions=1, sleep=clock.sleep)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def topic(aws: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The mail topic. The functions publish to it without a pause, and do not wait at an empty queue."""
    sns, events, sqs_events = aws_client("sns"), clients.sns().meta.events, clients.sqs().meta.events
    sns.create_topic(Name="mail")

    def count_subscriptions(parsed: dict[str, Any], **_: object) -> None:
        """Moto does not count subscriptions."""
        subscriptions = sns.list_subscriptions_by_topic(TopicArn=os.environ["MAIL_TOPIC_ARN"])[
            "Subscriptions"
        ]
        parsed["Attributes"]["SubscriptionsConfirmed"] = str(len(subscriptions))

    def poll_once(params: dict[str, Any], **_: object) -> None:
        params["WaitTimeSeconds"] = 0

    quick = MailTopic(clients.sns(), os.environ["MAIL_TOPIC_ARN"], min_subscriptions=1, sleep=lambda _: None)
    monkeypatch.setattr(mail, "TOPIC", quick)
    monkeypatch.setattr(digest, "TOPIC", quick)
    events.register("after-call.sns.GetTopicAttributes", count_subscriptions)
    sqs_events.register("provide-client-params.sqs.ReceiveMessage", poll_once)
    yield
    sqs_events.unregister("provide-client-params.sqs.ReceiveMessage", poll_once)
    events.unregister("after-call.sns.GetTopicAttributes", count_subscriptions)


@pytest.fixture
def mailbox(topic: None) -> Mailbox:
    """Receives the mails since the last call: `{"Subject": str, "Message": str, …}`."""
    sqs = aws_client("sqs")
    url = sqs.create_queue(QueueName="mailbox")["QueueUrl"]
    aws_client("sns").subscribe(
        TopicArn=os.environ["MAIL_TOPIC_ARN"],
        Protocol="sqs",
        Endpoint="arn:aws:sqs:us-east-1:123456789012:mailbox",
    )
    return lambda: [json.loads(str(message["Body"])) for message in receive_all(sqs, url)]


@pytest.fixture
def queued(aws: None) -> Callable[..., int]:
    """Adds notifications to the digest queue; returns the number of messages in it, including hidden ones."""
    sqs = aws_client("sqs")
    url = sqs.create_queue(QueueName="digest")["QueueUrl"]
    counts: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]

    def add(*documents: str) -> int:
        for body in documents:
            sqs.send_message(QueueUrl=url, MessageBody=body)
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=counts)["Attributes"]
        return sum(map(int, attributes.values()))

    return add


# ---- Urgent tickets


def test_a_batch_becomes_one_mail(mailbox: Mailbox) -> None:
    mail.handler(batch(*map(document, range(50))), lambda_context())

    (sent,) = mailbox()
    assert sent["Subject"] == "::HIGH:: New Support Tickets: HIGH 50"
    assert all(f"Ticket: ticket-{n}\n" in sent["Message"] for n in range(50))


def test_a_batch_of_one_becomes_a_mail_with_the_full_ticket(mailbox: Mailbox) -> None:
    mail.handler(batch(document(1)), lambda_context())

    (sent,) = mailbox()
    assert sent["Subject"] == "::HIGH:: New Support Ticket: BILLING"
    assert "--- Drafted reply ---" in sent["Message"]


def test_no_mail_is_sent_without_notifications(mailbox: Mailbox, queued: Callable[..., int]) -> None:
    mail.handler(batch(), lambda_context())
    assert run_digest() == {"tickets": 0}
    assert mailbox() == []


def test_a_batch_whose_mail_fails_is_retried_as_a_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mail, "TOPIC", failing_topic())

    with pytest.raises(TimeoutError):
        mail.handler(batch(document(1)), lambda_context())


def test_no_notification_is_consumed_while_no_subscription_is_confirmed(queued: Callable[..., int]) -> None:
    queued(document(1, "LOW"))

    with pytest.raises(NotifyUnavailable, match="not confirmed, or was lost"):
        mail.handler(batch(document(2)), lambda_context())
    with pytest.raises(NotifyUnavailable, match="not confirmed, or was lost"):
        run_digest()
    assert queued() == 1


# ---- The pace


@pytest.mark.parametrize("fails", [False, True])
def test_a_busy_function_sends_at_most_one_mail_per_second(fails: bool) -> None:
    clock = Clock()
    sns = Sns(clock, fails)
    paced = MailTopic(sns, "arn:mail", min_subscriptions=1, sleep=clock.sleep)  # type: ignore[arg-type]
    for _ in range(1000):
        try:
            paced.publish(MAIL)
        except TimeoutError:
            assert fails

    gaps = [later - earlier for earlier, later in zip(sns.published_at, sns.published_at[1:], strict=False)]
    assert len(gaps) == 999
    assert min(gaps) == SECONDS_PER_MAIL


# ---- The digest


def test_the_digest_is_one_mail_about_all_queued_notifications(
    mailbox: Mailbox, queued: Callable[..., int]
) -> None:
    queued(*(document(n, "LOW" if n % 2 else "MEDIUM") for n in range(34)))

    assert run_digest() == {"tickets": 34}
    (sent,) = mailbox()
    assert sent["Subject"] == "Support digest: MEDIUM 17, LOW 17"
    assert queued() == 0
    assert run_digest() == {"tickets": 0}
    assert mailbox() == []


def test_a_digest_that_cannot_be_sent_leaves_its_notifications_in_the_queue(
    mailbox: Mailbox, queued: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    queued(*(document(n, "LOW") for n in range(12)))
    monkeypatch.setattr(digest, "TOPIC", failing_topic())

    with pytest.raises(TimeoutError):
        run_digest()
    assert (mailbox(), queued()) == ([], 12)


def test_notifications_that_do_not_fit_into_the_time_wait_for_the_next_digest(
    mailbox: Mailbox, queued: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    queued(*(document(n, "LOW") for n in range(25)))
    remaining = iter([digest.RESERVED_MS + 1, digest.RESERVED_MS + 1, digest.RESERVED_MS])
    context = lambda_context()
    monkeypatch.setattr(context, "get_remaining_time_in_millis", lambda: next(remaining))

    assert digest.handler({}, context) == {"tickets": 20}
    assert len(mailbox()) == 1
    assert queued() == 5


def test_messages_that_were_not_deleted_are_counted_in_the_error() -> None:
    class Sqs:
        def delete_message_batch(self, **request: Any) -> Any:
            return {"Failed": request["Entries"][:1]}

    queue = DigestQueue(Sqs(), "url")  # type: ignore[arg-type]
    with pytest.raises(QueueUnavailable, match="3 messages were not deleted"):
        queue.delete(map(str, range(25)))


def test_each_run_measures_the_confirmed_subscriptions(
    mailbox: Mailbox, queued: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    run_digest()

    metrics = [line for line in map(json.loads, capsys.readouterr().out.splitlines()) if "_aws" in line]
    (metric,) = [line for line in metrics if "MailSubscriptions" in line]
    (directive,) = metric["_aws"]["CloudWatchMetrics"]
    assert metric["MailSubscriptions"] == [1.0]
    assert sorted(directive["Dimensions"][0]) == ["Stage", "Topic", "service"]
    assert (directive["Namespace"], metric["Topic"], metric["service"]) == (
        "SupportPipeline",
        "mail",
        "support-pipeline",
    )


def test_no_log_line_contains_ticket_content(mailbox: Mailbox, queued: Callable[..., int], log: Any) -> None:
    queued(document(1, "LOW"), "charged twice")
    mail.handler(batch(document(2), "charged twice"), lambda_context())
    run_digest()

    assert [json.loads(line)["message"] for line in log.getvalue().splitlines()] == [
        "tickets mailed",
        "tickets digested",
    ]
    assert "charged" not in log.getvalue()
