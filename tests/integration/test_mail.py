"""Mail on the running stack: urgent tickets immediately, the others in a digest, each ticket once."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from local.processes import wait_for
from tests.helpers.running_stack import RunningStack

URGENT = {"content": "URGENT: production is down for all our users since an hour. We are losing data!"}
NORMAL = {"content": "I was charged twice this month. Please refund one payment."}


class Mails:
    """All mails since the start of the test."""

    def __init__(self, stack: RunningStack) -> None:
        self._stack = stack
        self.all: list[dict[str, Any]] = []
        digest(stack)
        stack.mails()

    def tickets(self) -> Counter[str]:
        """How many mails mention each ticket."""
        self.all += self._stack.mails()
        texts = (mail["Message"] for mail in self.all)
        return Counter(
            ticket for text in texts for ticket in re.findall(r"^Ticket: (.+)$", text, re.MULTILINE)
        )

    def about(self, ids: set[str]) -> list[dict[str, Any]]:
        """The mails that mention one of these tickets, once all tickets are mentioned."""
        assert wait_for(lambda: ids <= set(self.tickets()), 30), ids - set(self.tickets())
        return [mail for mail in self.all if any(ticket in mail["Message"] for ticket in ids)]


def digest(stack: RunningStack) -> Any:
    """Run the deployed digest, as its schedule does every quarter of an hour."""
    answer = stack.stack.invoke("digest", b"{}")
    result = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, result
    return result


@contextmanager
def trigger_disabled(stack: RunningStack) -> Iterator[None]:
    """Keep urgent notifications in their queue until the block ends."""
    client, function = stack.stack.client("lambda"), stack.stack.function_name("mail")
    (mapping,) = client.list_event_source_mappings(FunctionName=f"{function}:live")["EventSourceMappings"]
    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        yield
    finally:
        client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


def test_an_urgent_ticket_is_mailed_in_full(stack: RunningStack) -> None:
    mails = Mails(stack)
    ticket = stack.outcome(stack.submit(URGENT), token=stack.token("agent-token"))

    (sent,) = mails.about({ticket["ticketId"]})
    found = ticket["analysis"]
    assert sent["Subject"].startswith(f"::{found['urgency']}:: New Support Ticket: {found['category']}")
    assert f"> {URGENT['content']}" in sent["Message"]
    assert found["response"] in sent["Message"]
    state = "shown to the customer" if "reply" in ticket else "waits for approval"
    assert f"\nReply: {state}\n" in sent["Message"]


def test_a_burst_causes_only_a_few_mails_which_mention_every_ticket_once(stack: RunningStack) -> None:
    mails = Mails(stack)
    with trigger_disabled(stack), ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(stack.submit, [URGENT] * 30 + [NORMAL] * 10))
        tickets = list(pool.map(stack.outcome, ids))
    urgent = {t["ticketId"] for t in tickets if t["analysis"]["urgency"] in {"CRITICAL", "HIGH"}}

    assert len(urgent) == 30
    # The emulator passes ten messages at a time to a function; AWS collects fifty.
    assert len(mails.about(urgent)) <= 4
    assert not (set(ids) - urgent) & set(mails.tickets()), "the others wait for the digest"
    assert digest(stack)["tickets"] >= 10
    (digested,) = mails.about(set(ids) - urgent)
    assert re.fullmatch(r"Support digest: [A-Z0-9, ]+", digested["Subject"])
    assert {mails.tickets()[ticket_id] for ticket_id in ids} == {1}


def test_make_mail_shows_the_mails_of_the_local_stack(stack: RunningStack) -> None:
    Mails(stack)
    ticket_id = stack.submit(URGENT)
    shown = ""

    def read() -> bool:
        nonlocal shown
        shown += stack.command("local", "mail").stdout
        return f"Ticket: {ticket_id}\n" in shown

    assert wait_for(read, 30)
    assert "Subject: ::" in shown
    assert stack.command("local", "mail").stdout.startswith("No new mail.")
