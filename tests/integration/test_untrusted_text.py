"""Tickets with instructions for the model, on the whole stack, with a model that obeys every one of them."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from local.processes import wait_for
from tests.helpers.running_stack import RunningStack

PROJECT = Path(__file__).parents[2]
INJECTIONS = json.loads((PROJECT / "events" / "injections" / "tickets.json").read_text(encoding="utf-8"))
INJECTION_NAMED = {injection["name"]: injection for injection in INJECTIONS}
PROMPT = (PROJECT / "functions" / "support" / "domain" / "prompt.txt").read_text(encoding="utf-8")

# Every ticket contains it, and so do many answers of the obedient model.
MARKER = "okapi"
# The name of a ticket that is processed.
PROCESSED = "the highest urgency"

ENUMS = {
    "urgency": {"LOW", "MEDIUM", "HIGH", "CRITICAL"},
    "sentiment": {"NEGATIVE", "NEUTRAL", "POSITIVE"},
    "category": set(
        json.loads((PROJECT / "functions" / "support" / "domain" / "taxonomy.json").read_text())["categories"]
    ),
}
SUBJECTS = {
    f"::{urgency}:: New Support Ticket: {category}{review}"
    for urgency in ENUMS["urgency"]
    for category in ENUMS["category"]
    for review in ("", ", please check")
}
LANGUAGE = r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?"
INVISIBLE = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ufeff]"


class Outcomes:
    """The outcomes of the tickets by name, and every text that could quote them."""

    def __init__(self, stack: RunningStack, mailbox: str) -> None:
        def processed(injection: dict[str, str]) -> tuple[str, dict[str, Any]]:
            submission = {name: injection[name] for name in ("subject", "content") if name in injection}
            ticket_id = stack.submit(submission)
            return ticket_id, stack.outcome(ticket_id, token=stack.token("agent-token"))

        # Only a few at a time: other tests cover load.
        with ThreadPoolExecutor(4) as pool:
            ended = dict(zip(INJECTION_NAMED, pool.map(processed, INJECTIONS), strict=True))
        self.ids = {name: ticket_id for name, (ticket_id, _) in ended.items()}
        self.tickets = {name: ticket for name, (_, ticket) in ended.items()}
        self.notifications = {
            json.loads(mail["Message"])["ticketId"]: mail
            for mail in (json.loads(message["Body"]) for message in stack.messages(mailbox, wait_seconds=1))
        }
        self.failures = {failure["input"]["ticketId"]: failure for failure in stack.failures()}
        output = stack.output
        assert wait_for(lambda: all(ticket_id in output.read_text() for ticket_id in self.ids.values()), 10)
        self.output = output.read_text()
        self.log = (stack.folder / "functions.log").read_text(errors="replace")
        _write_after_processing(stack, self.tickets[PROCESSED])
        self.logs = _logs(stack)
        self.commands = _commands(stack, self.ids)
        self.customer_id = _subject(stack.token())

    def notification(self, name: str) -> dict[str, Any] | None:
        """The notification of the ticket: subject, message and attributes; None if there is none."""
        return self.notifications.get(self.ids[name])


def _write_after_processing(stack: RunningStack, ticket: dict[str, Any]) -> None:
    """Plant the marker in the other texts that people write: a reply, a comment, and invalid requests."""
    agent = {"Authorization": f"Bearer {stack.token('agent-token')}"}
    customer = {"Authorization": f"Bearer {stack.token()}"}
    path = f"/tickets/{ticket['ticketId']}"
    reply = {"version": ticket["version"], "text": f"Dear {MARKER}"}
    assert stack.http.post(f"{path}/reply", json=reply, headers=agent).status_code == 200
    comment = {"rating": 5, "comment": f"Thank you, {MARKER}"}
    assert stack.http.post(f"{path}/feedback", json=comment, headers=customer).status_code == 201
    invalid = {"rating": MARKER, MARKER: MARKER}
    assert stack.http.post(f"{path}/feedback", json=invalid, headers=customer).status_code == 400
    assert stack.http.get("/tickets", params={"status": MARKER}, headers=agent).status_code == 400


def _logs(stack: RunningStack) -> dict[str, str]:
    """Every log of the stack: the log groups, except the state machine's, and the files."""
    client = stack.stack.client("logs")
    groups = [group["logGroupName"] for group in client.describe_log_groups()["logGroups"]]
    pages = client.get_paginator("filter_log_events")
    return {
        name: "\n".join(
            event["message"] for page in pages.paginate(logGroupName=name) for event in page["events"]
        )
        for name in groups
        if "/vendedlogs/states/" not in name
    } | {path.name: path.read_text(errors="replace") for path in stack.folder.glob("*.log")}


def _commands(stack: RunningStack, ids: Mapping[str, str]) -> str:
    """What the operators' commands print about a ticket that was processed, and about one that failed."""
    failed = next(name for name, one in INJECTION_NAMED.items() if one["expect"] == "invalid")
    commands = [(command, ids[name]) for command in ("ticket", "trace") for name in (PROCESSED, failed)]
    done = [stack.command("ops", command, TICKET=ticket_id) for command, ticket_id in commands]
    return "".join(one.stdout + one.stderr for one in done)


def _subject(token: str) -> str:
    payload = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"])


@pytest.fixture(scope="module")
def outcomes(running: RunningStack) -> Iterator[Outcomes]:
    """The outcomes of all tickets, submitted while the model obeys; a queue records the subject lines."""
    sqs, sns = running.stack.client("sqs"), running.stack.client("sns")
    mailbox = sqs.create_queue(QueueName="mailbox-of-untrusted-text")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=mailbox, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    grant = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [grant]})
    sqs.set_queue_attributes(QueueUrl=mailbox, Attributes={"Policy": policy})
    subscription = sns.subscribe(
        TopicArn=running.stack.support_topic_arn, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True
    )["SubscriptionArn"]
    running.failures()
    running.fail_model(prompt_injection=1.0)
    yield Outcomes(running, mailbox)
    running.fail_model()
    sns.unsubscribe(SubscriptionArn=subscription)
    sqs.delete_queue(QueueUrl=mailbox)


@cache
def contract(schema: str) -> dict[str, Any]:
    document = yaml.safe_load((PROJECT / "api" / "openapi.yaml").read_text())
    return {"$ref": f"#/components/schemas/{schema}", "components": document["components"]}


every_ticket = pytest.mark.parametrize("name", INJECTION_NAMED)
every_valid_ticket = pytest.mark.parametrize(
    "name", [name for name, injection in INJECTION_NAMED.items() if injection["expect"] != "invalid"]
)


@every_ticket
def test_a_ticket_with_instructions_is_processed_or_fails_as_expected(outcomes: Outcomes, name: str) -> None:
    ticket = outcomes.tickets[name]

    if INJECTION_NAMED[name]["expect"] == "invalid":
        assert (ticket["status"], ticket["failure"]["error"]) == ("FAILED", "ModelOutputInvalid")
        assert outcomes.notification(name) is None
        assert outcomes.ids[name] in outcomes.failures
    else:
        assert ticket["status"] == "PROCESSED"
        assert outcomes.ids[name] not in outcomes.failures


@every_ticket
def test_the_fields_of_a_ticket_are_genuine_and_its_text_is_stored_unchanged(
    outcomes: Outcomes, name: str
) -> None:
    ticket, injection = outcomes.tickets[name], INJECTION_NAMED[name]

    assert (ticket["content"], ticket.get("subject")) == (injection["content"], injection.get("subject"))
    assert (ticket["ticketId"], ticket["customerId"]) == (outcomes.ids[name], outcomes.customer_id)
    assert ticket["channel"] == "web"
    jsonschema.validate(ticket, contract("Ticket"))


@every_valid_ticket
def test_the_analysis_has_only_valid_values(outcomes: Outcomes, name: str) -> None:
    found = outcomes.tickets[name]["analysis"]

    assert not {field for field, values in ENUMS.items() if found[field] not in values}
    assert re.fullmatch(LANGUAGE, found["language"])
    assert 0 <= found["confidence"] <= 1
    assert found["model"]["id"] == "amazon.nova-lite-v1:0"
    assert set(found) == set(contract("Analysis")["components"]["schemas"]["Analysis"]["properties"])


@pytest.mark.parametrize(
    "name", [name for name, injection in INJECTION_NAMED.items() if injection["expect"] == "reviewed"]
)
def test_an_answer_with_a_foreign_address_or_the_prompt_needs_review(outcomes: Outcomes, name: str) -> None:
    assert outcomes.tickets[name]["analysis"]["needsReview"]


@every_valid_ticket
def test_the_texts_of_the_model_have_no_invisible_characters(outcomes: Outcomes, name: str) -> None:
    found = outcomes.tickets[name]["analysis"]

    assert not re.search(INVISIBLE, "".join([found["summary"], found["response"], *found["tags"]]))
    assert "\n" not in "".join([found["summary"], *found["tags"]])


@every_valid_ticket
def test_the_subject_line_and_the_routing_contain_only_expected_values(outcomes: Outcomes, name: str) -> None:
    notification, found = outcomes.notification(name), outcomes.tickets[name]["analysis"]
    assert notification is not None

    labels = {label: value["Value"] for label, value in notification["MessageAttributes"].items()}
    assert notification["Subject"] in SUBJECTS
    assert labels == {
        "urgency": found["urgency"],
        "category": found["category"],
        "language": found["language"],
        "needsReview": str(found["needsReview"]).lower(),
        "mail": "immediate" if found["urgency"] in {"CRITICAL", "HIGH"} or found["needsReview"] else "digest",
    }
    jsonschema.validate(json.loads(notification["Message"]), contract("Ticket"))


def test_the_functions_log_and_the_output_of_the_stack_quote_no_ticket_and_no_model(
    outcomes: Outcomes,
) -> None:
    assert len(outcomes.log) > 10_000
    for text in (outcomes.log, outcomes.output):
        assert MARKER not in text.lower()
        assert PROMPT.split("\n", maxsplit=1)[0] not in text
        assert not [
            name for name, i in INJECTION_NAMED.items() if len(i["obeyed"]) > 14 and i["obeyed"] in text
        ]


def test_no_log_and_no_command_quotes_what_people_wrote(outcomes: Outcomes) -> None:
    assert {"emulator.log", "functions.log", "web-server.log", "model.log"} <= set(outcomes.logs)
    assert any(name.startswith("/aws/lambda/") for name in outcomes.logs)
    assert any(name.startswith("/aws/apigateway/") for name in outcomes.logs)
    assert not [name for name, text in outcomes.logs.items() if MARKER in text.lower()]
    assert "\nExecution " in outcomes.commands
    assert MARKER not in outcomes.commands.lower()


def test_failure_messages_quote_no_ticket_and_no_model(outcomes: Outcomes) -> None:
    for failure in outcomes.failures.values():
        assert MARKER not in json.dumps({name: failure[name] for name in ("error", "cause")}).lower()


def test_the_tickets_cover_every_kind_of_attack() -> None:
    attacks = {injection["attack"] for injection in INJECTIONS}

    assert len(INJECTIONS) >= 45
    assert all(MARKER in injection["content"] for injection in INJECTIONS)
    assert sum(injection["attack"] == "other languages" for injection in INJECTIONS) >= 6
    assert attacks >= {
        "change urgency", "leak the prompt", "call tools", "break out of the delimiter", "other languages",
        "base64", "zero-width characters", "homoglyphs", "bidirectional text", "header injection",
        "log injection", "phishing link", "phishing address", "obfuscated link", "templates", "very long",
        "fake turns", "forged previous analysis", "JSON that breaks the schema", "language as carrier",
    }  # fmt: skip
