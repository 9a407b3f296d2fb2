"""`make rehearse` shows a failure, and ends it; `make inbox` shows what the team's tools receive."""

import json

import pytest

from tests.helpers.running_stack import RunningStack

ANSWER = "The fault has ended."


@pytest.mark.parametrize(("fault", "error"), [("deny", "ModelRejected"), ("malformed", "ModelOutputInvalid")])
def test_a_fault_that_needs_a_person_fails_the_ticket_and_says_how_to_replay_it(
    stack: RunningStack, fault: str, error: str
) -> None:
    rehearsed = stack.command("local", "rehearse", fault, "1")

    assert rehearsed.returncode == 0, rehearsed.stderr
    assert f"failed  {error}" in rehearsed.stdout
    assert rehearsed.stdout.index(f"failed  {error}") < rehearsed.stdout.index(ANSWER)
    assert "Tickets that failed: 1." in rehearsed.stdout
    assert "1 of 1 processed" in stack.command("ops", "replay").stdout, "the fault has ended"


def test_a_fault_that_passes_defers_the_tickets_which_continue_automatically(stack: RunningStack) -> None:
    rehearsed = stack.command("local", "rehearse", "throttle", "2")

    assert rehearsed.returncode == 0, rehearsed.stderr
    before, _, after = rehearsed.stdout.partition(ANSWER)
    assert before.count("deferred  ModelThrottled") >= 2
    assert after.count("support notified") == 2
    assert "All tickets are processed" in after


def test_an_unknown_fault_is_refused(stack: RunningStack) -> None:
    rehearsed = stack.command("local", "rehearse", "fire", "1")

    assert rehearsed.returncode == 1
    assert rehearsed.stderr == "FAULT must be one of throttle, error, slow, deny, malformed, not 'fire'.\n"


def test_the_inbox_shows_each_notification_once(stack: RunningStack) -> None:
    submitted = stack.post({"content": "Ein Brief für die Bücherei \u202e fehlt."}).json()
    stack.outcome(submitted["ticketId"], token=stack.token("agent-token"))

    inbox = stack.command("local", "inbox").stdout

    attributes, _, document = inbox.partition("\n\n")
    assert json.loads(attributes.removeprefix("Attributes: "))["category"]
    assert submitted["ticketId"] in document
    assert "für die Bücherei \\u202e fehlt." in document
    assert stack.command("local", "inbox").stdout.startswith("No new notifications.")
