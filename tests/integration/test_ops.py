"""The operators' commands on a running stack: failed tickets are replayed once, and nothing else changes."""

import json
import re
import subprocess
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.processes import wait_for
from tests.helpers.running_stack import PROJECT, RunningStack

SUBMISSION = {"content": "I was charged twice this month. Please refund one payment."}


def ops(stack: RunningStack, command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    done: subprocess.CompletedProcess[str] = stack.command("ops", command, **environment)
    return done


def failed_ticket(stack: RunningStack) -> str:
    """A ticket that failed because its model call was denied; the model works again."""
    stack.fail_model(deny=1.0)
    ticket = stack.outcome(stack.submit(SUBMISSION))
    assert ticket["status"] == "FAILED"
    assert wait_for(lambda: waiting(stack, stack.stack.failed_tickets_queue_url) == 1, 30)
    stack.fail_model()
    return str(ticket["ticketId"])


def waiting(stack: RunningStack, queue_url: str) -> int:
    """The number of messages in a queue: visible, in flight and delayed."""
    counts = stack.stack.client("sqs").get_queue_attributes(
        QueueUrl=queue_url,
        AttributeNames=[f"ApproximateNumberOfMessages{which}" for which in ("", "NotVisible", "Delayed")],
    )["Attributes"]
    return sum(map(int, counts.values()))


def replay_by_hand(stack: RunningStack, *messages: Any) -> None:
    """Do what "Start DLQ redrive" in the console does; return when the waiting room is empty."""
    url = stack.stack.waiting_room_url
    for message in messages:
        stack.stack.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(message))
    assert wait_for(lambda: waiting(stack, url) == 0, 30)


def notified(stack: RunningStack, ticket_id: str) -> dict[str, Any]:
    assert wait_for(lambda: "notifiedAt" in stack.get(ticket_id).json(), 60)
    return dict(stack.get(ticket_id).json())


def executions(stack: RunningStack, ticket_id: str) -> list[str]:
    """The names of a ticket's executions, in order; `-r…` where one took it out of the waiting room."""
    started = sorted(stack.executions(), key=lambda one: one["startDate"])
    return [shown(one["name"]) for one in started if one["name"].startswith(ticket_id)]


def shown(name: str) -> str:
    return re.sub("-r[0-9a-f]{8}$", "-r…", name)


def test_an_admin_replays_a_failed_ticket_through_the_api(stack: RunningStack) -> None:
    ticket_id = failed_ticket(stack)
    admin = {"Authorization": f"Bearer {stack.token('admin-token')}"}

    answer = stack.http.post(f"/tickets/{ticket_id}/replay", headers=admin)

    assert answer.status_code == 202
    assert notified(stack, ticket_id)["status"] == "PROCESSED"
    notified_ids = [json.loads(notification["Body"])["ticketId"] for notification in stack.notifications()]
    assert notified_ids.count(ticket_id) == 1


def test_a_failed_ticket_is_replayed_and_notified_once(stack: RunningStack) -> None:
    ticket_id = failed_ticket(stack)

    done = ops(stack, "replay", TICKET=ticket_id)

    assert (done.returncode, done.stderr) == (0, "")
    acting, _, listed, outcome, summary = done.stdout.splitlines()
    assert acting == f"Acting on the local stack at {stack.stack.web_url}."
    assert listed.startswith(f"{ticket_id}  ModelRejected  ")
    assert listed.endswith(" ago  attempts 1  in table+queue  FAILED")
    assert outcome == f"{ticket_id}  processed"
    assert summary == "1 of 1 processed."
    ticket = stack.get(ticket_id, token=stack.token("agent-token")).json()
    assert (ticket["status"], ticket["attempts"]) == ("PROCESSED", 2)
    assert [(shown(attempt["execution"]), attempt["outcome"]) for attempt in ticket["history"]] == [
        (ticket_id, "ModelRejected"),
        (f"{ticket_id}-r…", "PROCESSED"),
    ]
    assert len(stack.notifications()) == 1
    assert stack.failures() == []


def test_a_dismissed_ticket_leaves_the_queue_and_keeps_the_reason(stack: RunningStack) -> None:
    ticket_id = failed_ticket(stack)
    reason = "Answered by mail."

    done = ops(stack, "dismiss", TICKET=ticket_id, REASON=reason)
    again = ops(stack, "replay", DRY_RUN="1")

    assert (done.returncode, done.stderr) == (0, "")
    assert f"\nDismissed ticket {ticket_id} (ModelRejected). It stays in the table;" in done.stdout
    assert again.returncode == 0
    assert ticket_id not in again.stdout
    assert stack.failures() == []
    seen_by_agent = stack.get(ticket_id, token=stack.token("agent-token")).json()
    assert (seen_by_agent["status"], seen_by_agent["dismissed"]["reason"]) == ("FAILED", reason)
    assert seen_by_agent["dismissed"]["by"].startswith("arn:aws:")
    assert "dismissed" not in stack.get(ticket_id).json()
    logged = stack.stack.client("logs").filter_log_events(
        logGroupName=done.stdout.split()[-1].rstrip("."), filterPattern=f'"{ticket_id}"'
    )["events"]
    assert [json.loads(one["message"])["dismissed"]["reason"] for one in logged] == [reason]


def test_a_message_in_the_waiting_room_restarts_its_ticket(stack: RunningStack) -> None:
    ticket_id = failed_ticket(stack)

    replay_by_hand(stack, *stack.failures())

    ticket = notified(stack, ticket_id)
    assert (ticket["status"], ticket["attempts"]) == ("PROCESSED", 2)
    assert len(stack.notifications()) == 1


def test_a_ticket_whose_message_is_replayed_twice_is_processed_once(stack: RunningStack) -> None:
    ticket_id = failed_ticket(stack)
    (message,) = stack.failures()

    replay_by_hand(stack, message, message)

    assert notified(stack, ticket_id)["attempts"] == 2
    assert executions(stack, ticket_id) == [ticket_id, f"{ticket_id}-r…", f"{ticket_id}-r…"]
    assert len(stack.notifications()) == 1


def test_replaying_a_processed_ticket_changes_nothing(stack: RunningStack) -> None:
    ticket_id = failed_ticket(stack)
    (message,) = stack.failures()
    replay_by_hand(stack, message)
    before = notified(stack, ticket_id)

    replay_by_hand(stack, message)
    done = ops(stack, "replay", TICKET=ticket_id)

    assert done.returncode == 0
    assert f"\nTicket {ticket_id} is already processed (notification sent at " in done.stdout
    assert stack.get(ticket_id).json() == before
    assert len(stack.notifications()) == 1


def test_a_failed_ticket_without_a_message_is_replayed_from_the_table(stack: RunningStack) -> None:
    ticket_id = failed_ticket(stack)
    stack.failures()

    done = ops(stack, "replay", TICKET=ticket_id)

    assert done.returncode == 0, done.stderr
    ticket = stack.get(ticket_id).json()
    assert (ticket["status"], ticket["content"]) == ("PROCESSED", SUBMISSION["content"])
    assert len(stack.notifications()) == 1


def test_a_ticket_that_fails_again_is_reported_and_can_be_replayed_again(stack: RunningStack) -> None:
    ticket_id = failed_ticket(stack)

    stack.fail_model(deny=1.0)
    again = ops(stack, "replay", TICKET=ticket_id)
    stack.fail_model()
    done = ops(stack, "replay", TICKET=ticket_id)

    assert again.returncode == 1
    assert f"{ticket_id}  failed again: ModelRejected\n" in again.stdout
    assert done.returncode == 0, done.stdout
    assert stack.get(ticket_id).json()["attempts"] == 3
    assert len(stack.notifications()) == 1


def test_a_dry_run_lists_the_failed_tickets_and_changes_nothing(stack: RunningStack) -> None:
    ticket_id = failed_ticket(stack)
    before = stack.get(ticket_id).json()

    done = ops(stack, "replay", DRY_RUN="1")

    assert done.returncode == 0
    assert "\nNo tickets are waiting.\n" in done.stdout
    assert f"\n{ticket_id}  ModelRejected  " in done.stdout
    # Earlier tests leave failed tickets behind.
    assert re.search(
        r"^\d+ tickets? with ModelRejected: Converse: AccessDeniedException: ", done.stdout, re.MULTILINE
    )
    assert SUBMISSION["content"] not in done.stdout
    assert stack.get(ticket_id).json() == before
    assert waiting(stack, stack.stack.waiting_room_url) == 0
    assert [failure["input"]["ticketId"] for failure in stack.failures()] == [ticket_id]


def test_filters_by_error_and_age_exclude_other_tickets(stack: RunningStack) -> None:
    other = failed_ticket(stack)
    old = str(uuid.uuid4())
    message = {
        "input": {
            "ticketId": old,
            "receivedAt": 1_700_000_000_000,
            "channel": "web",
            "caller": {"subject": "somebody", "groups": ""},
            "request": SUBMISSION,
        },
        "execution": old,
        "error": "ModelThrottled",
        "cause": "too many requests",
        "failedAt": (datetime.now(UTC) - timedelta(hours=3)).isoformat(),
    }
    stack.stack.client("sqs").send_message(
        QueueUrl=stack.stack.failed_tickets_queue_url, MessageBody=json.dumps(message)
    )

    nothing = ops(stack, "replay", ERROR="ModelThrottled", SINCE="2h")
    done = ops(stack, "replay", ERROR="ModelThrottled", SINCE="4h")

    assert (nothing.returncode, nothing.stdout.count("\n")) == (0, 2)
    assert "matches the filters" in nothing.stdout
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        f"{old}  ModelThrottled  3h ago  attempts -  in queue  not stored\n{old}  processed\n" in done.stdout
    )
    assert stack.get(other).json()["status"] == "FAILED"
    assert [failure["input"]["ticketId"] for failure in stack.failures()] == [other]


def test_an_unreadable_message_returns_to_the_failed_tickets_queue(stack: RunningStack) -> None:
    replay_by_hand(stack, {"poison": True})

    assert stack.failures() == [{"poison": True}]


def test_a_replayed_ticket_waits_while_the_model_throttles_and_continues_automatically(
    stack: RunningStack,
) -> None:
    ticket_id = failed_ticket(stack)
    stack.fail_model(throttle=1.0)

    done = ops(stack, "replay", TICKET=ticket_id, DEADLINE="25")
    again = ops(stack, "replay", TICKET=ticket_id)
    # The ticket is not listed while an execution retries it.
    assert wait_for(
        lambda: "1 ticket is waiting: 1 for ModelThrottled;" in ops(stack, "replay", DRY_RUN="1").stdout, 60
    )
    stack.fail_model()

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("0 of 1 processed. 1 still waiting after 25 s")
    assert again.returncode == 0
    assert "failed" not in done.stdout.splitlines()[-1]
    assert notified(stack, ticket_id)["status"] == "PROCESSED"
    assert len(stack.notifications()) == 1
    assert stack.failures() == []
    expect_story(stack, ticket_id)


def expect_story(stack: RunningStack, ticket_id: str) -> None:
    """Trace a ticket that failed, was replayed, was deferred, and was then processed."""
    # The log is written a moment after the notification.
    assert wait_for(lambda: ": notified after " in ops(stack, "trace", TICKET=ticket_id).stdout, 30)
    done = ops(stack, "trace", TICKET=ticket_id)

    assert (done.returncode, done.stderr) == (0, "")
    failed, replayed, *_, last = re.findall(r"^Execution (.*)$", done.stdout, re.MULTILINE)
    assert re.fullmatch(rf"{ticket_id}: failed after [\d.]+ s", failed)
    assert re.fullmatch(
        rf"{ticket_id}-r\w{{8}}, replayed [\d.]+ s after the one before: deferred after [\d.]+ s", replayed
    )
    assert re.fullmatch(
        rf"{ticket_id}-r\w{{8}}, from the waiting room [\d.]+ s after .*: notified after [\d.]+ s", last
    )
    for expected in (
        r"  [\d.]+ s  Classify Ticket  3 failed attempts of 3: 3 ModelThrottled; waited [\d.]+ s\n",
        r"\n  model: amazon.nova-lite-v1:0, [\d.]+ s, [\d,]+ input and \d+ output tokens, 0\.000\d+ USD\n",
        r"\n  traces: 1-[0-9a-f]{8}-[0-9a-f]{24}",
        r"\n  .*  ResumeFunction  INFO  ticket resumed\n",
        r"\nReceived .*, processed after [\d.]+ s, notified after [\d.]+ s\.\n",
        r"\n\d+ executions, [\d.]+ s in all; [\d,]+ input and \d+ output tokens, 0\.000\d+ USD\.\n",
    ):
        assert re.search(expected, done.stdout), done.stdout
    assert SUBMISSION["content"] not in done.stdout


def test_a_message_that_sqs_moved_from_the_waiting_room_is_replayed(stack: RunningStack) -> None:
    ticket_id = str(uuid.uuid4())
    submission = {
        "ticketId": ticket_id,
        "receivedAt": 1_700_000_000_000,
        "channel": "web",
        "caller": {"subject": "somebody", "groups": ""},
        "request": SUBMISSION,
        "waiting": {"since": "2026-01-31T12:00:00.000Z", "execution": "arn:before", "deaths": 2},
    }
    message = {
        "input": submission,
        "execution": "arn:deferred",
        "error": "States.Timeout",
        "cause": "",
        "deferredAt": (datetime.now(UTC) - timedelta(minutes=3)).isoformat(),
    }
    stack.stack.client("sqs").send_message(
        QueueUrl=stack.stack.failed_tickets_queue_url, MessageBody=json.dumps(message)
    )

    done = ops(stack, "replay", TICKET=ticket_id)

    assert (done.returncode, done.stderr) == (0, "")
    assert (
        f"{ticket_id}  States.Timeout  3m ago  attempts -  in queue  not stored\n{ticket_id}  processed\n"
        in done.stdout
    )
    assert stack.failures() == []


def test_a_stack_is_selected_by_its_name_as_in_an_aws_account(stack: RunningStack) -> None:
    ticket_id = failed_ticket(stack)
    variables = stack.stack.emulator.variables() | {"STACK_DIR": "/nowhere"}
    endpoint = variables.pop("AWS_ENDPOINT_URL")  # refused, because it can be no account's
    services = ("CLOUDFORMATION", "DYNAMODB", "SQS", "CLOUDWATCH_LOGS", "STS")
    account = variables | {f"AWS_ENDPOINT_URL_{service}": endpoint for service in services}

    done = ops(stack, "replay", STACK=stack.stack.stack_name, TICKET=ticket_id, **account)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        f"Acting on stack {stack.stack.stack_name} in account 000000000000, region us-east-1.\n"
    )
    assert stack.get(ticket_id).json()["status"] == "PROCESSED"


def test_an_operator_sees_why_and_where_a_ticket_failed_and_what_was_logged(stack: RunningStack) -> None:
    ticket_id = failed_ticket(stack)

    done = ops(stack, "ticket", TICKET=ticket_id)

    assert (done.returncode, done.stderr) == (0, "")
    for expected in (
        f"\nTicket {ticket_id}: FAILED, 1 attempt, received ",
        " ago with ModelRejected: Converse: AccessDeniedException: ",
        "Z  Store Ticket\n",
        "Z  Classify Ticket  ModelRejected, 1 failed attempt\n",
        "Z  Ticket Failed\n",
        "  StoreFunction  INFO  ticket stored  status=RECEIVED\n",
        "  ClassifyFunction  WARNING  task failed  error=ModelRejected  reason=Converse: AccessDenied",
        "  UpdateFunction  ERROR  ticket failed  status=FAILED  error=ModelRejected\n",
    ):
        assert expected in done.stdout, done.stdout
    assert SUBMISSION["content"] not in done.stdout


def test_the_cause_can_be_read_as_an_agent_as_the_runbook_says(stack: RunningStack) -> None:
    ticket_id = failed_ticket(stack)
    guide = (PROJECT / "docs" / "runbook.md").read_text()
    (commands,) = re.findall(r"^```sh\n(output\(\).*?)^```$", guide, re.MULTILINE | re.DOTALL)
    passwords = json.loads((stack.folder / "passwords.json").read_text())
    agent = "agent@example.com"
    variables = {"AGENT": agent, "PASSWORD": passwords[agent], "TICKET": ticket_id}

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f". {stack.folder}/aws.env\n{commands}"],
        cwd=PROJECT,
        env=stack.environment | variables,
        capture_output=True,
        text=True,
        check=True,
    )

    failure = json.loads(done.stdout)["failure"]
    assert (failure["error"], "AccessDeniedException" in failure["cause"]) == ("ModelRejected", True)


def test_the_schedules_can_be_run_by_hand(stack: RunningStack) -> None:
    stack.outcome(stack.submit(SUBMISSION))
    stack.mails()

    swept, digest = ops(stack, "sweep"), ops(stack, "digest")

    assert (swept.returncode, swept.stderr) == (0, "")
    assert swept.stdout.splitlines()[1:] == [
        "Sent 0 stuck tickets to the waiting room, and set 0 unreadable tickets aside."
    ]
    assert (digest.returncode, digest.stderr) == (0, "")
    assert re.fullmatch(r"Sent a digest of \d+ tickets?\.", digest.stdout.splitlines()[1])
    assert len(stack.mails()) == 1


def test_the_cost_of_an_hour_is_priced_by_part(stack: RunningStack) -> None:
    stack.outcome(stack.submit(SUBMISSION))

    def priced() -> dict[str, str]:
        done = ops(stack, "cost", SINCE="1h")
        assert (done.returncode, done.stderr) == (0, "")
        return {row[:20].strip(): row[20:] for row in done.stdout.splitlines()[3:-1]}

    # The metrics are recorded a moment after the notification.
    assert wait_for(lambda: "CloudWatch has no values" not in priced()["model"], 30)
    rows = priced()
    for part in ("model", "state machine", "functions", "state machine log", "functions log", "total"):
        usd, per_ticket, per_million = map(float, rows[part].split()[:3])
        assert usd > 0, rows
        assert per_million == pytest.approx(per_ticket * 1e6, abs=0.1)
    # The emulator does not measure it.
    assert rows["table"].split() == [*"---", "CloudWatch", "has", "no", "values"]


def test_a_ticket_that_is_only_in_the_log_is_recovered_once(stack: RunningStack) -> None:
    with stack.denied("store", "dynamodb:*"):
        ticket_id = stack.submit(SUBMISSION)
        assert wait_for(lambda: waiting(stack, stack.stack.failed_tickets_queue_url) == 1, 60)
    # This empties the queue, as if it had been down, too.
    assert [failure["error"] for failure in stack.failures()] == ["StoreRejected"]
    assert stack.get(ticket_id).status_code == 404

    listed = ops(stack, "recover", DRY_RUN="1", SINCE="1h")
    assert stack.get(ticket_id).status_code == 404
    first = ops(stack, "recover")
    second = ops(stack, "recover")

    assert listed.returncode == 0, listed.stdout + listed.stderr
    assert f"\n{ticket_id}  TicketFailed  " in listed.stdout
    assert first.returncode == 0, first.stdout + first.stderr
    assert f"{ticket_id}  processed\n" in first.stdout
    assert SUBMISSION["content"] not in listed.stdout + first.stdout
    assert second.returncode == 0
    assert "there is nothing to recover" in second.stdout
    ticket = stack.get(ticket_id).json()
    assert (ticket["status"], ticket["content"]) == ("PROCESSED", SUBMISSION["content"])
    assert executions(stack, ticket_id) == [ticket_id, f"{ticket_id}-r…"]
    assert len(stack.notifications()) == 1


def test_a_replay_of_everything_leaves_no_failed_tickets(stack: RunningStack) -> None:
    failed_ticket(stack)

    done = ops(stack, "replay")
    again = ops(stack, "replay")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing failed in the local stack" in again.stdout
    assert stack.failures() == []
