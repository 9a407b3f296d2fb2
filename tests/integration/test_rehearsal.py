"""`make rehearse` shows a failure, and ends it; `make inbox` shows what the team's tools receive."""

import json
import re
import signal
import subprocess
import sys

import pytest

from tests.helpers.running_stack import PROJECT, RunningStack

FAULT_ENDED = "The fault has ended."


@pytest.mark.parametrize(("fault", "error"), [("deny", "ModelRejected"), ("malformed", "ModelOutputInvalid")])
def test_a_fault_that_needs_a_person_fails_the_ticket_and_says_how_to_replay_it(
    stack: RunningStack, fault: str, error: str
) -> None:
    rehearsed = stack.command("local", "rehearse", fault, "1")

    assert rehearsed.returncode == 0, rehearsed.stderr
    assert f"failed  {error}" in rehearsed.stdout
    assert rehearsed.stdout.index(f"failed  {error}") < rehearsed.stdout.index(FAULT_ENDED)
    assert "Tickets that failed: 1." in rehearsed.stdout
    (ticket_id,) = set(re.findall(r"[0-9a-f-]{36}", rehearsed.stdout))
    replayed = stack.command("ops", "replay", TICKET=ticket_id)
    assert "1 of 1 processed" in replayed.stdout, "the fault has ended"


def test_a_fault_that_passes_defers_the_tickets_which_continue_automatically(stack: RunningStack) -> None:
    rehearsed = stack.command("local", "rehearse", "throttle", "2")

    assert rehearsed.returncode == 0, rehearsed.stderr
    before, _, after = rehearsed.stdout.partition(FAULT_ENDED)
    assert before.count("deferred  ModelThrottled") >= 2
    assert after.count("support notified") == 2
    assert "All tickets are processed" in after


def test_ctrl_c_ends_the_fault(stack: RunningStack) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "local", "rehearse", "slow", "1"],
        cwd=PROJECT,
        env=stack.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        while "stored" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)

    assert (process.returncode, output, errors) == (130, f"{FAULT_ENDED}\n", "")
    ticket_id = stack.submit({"content": "I was charged twice."})
    assert stack.outcome(ticket_id)["status"] == "PROCESSED"


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
