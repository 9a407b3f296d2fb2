"""Every task with every event in events/: valid events succeed, invalid ones fail with the right error."""

import importlib
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.aws_clients import aws_client
from tests.helpers.bedrock import Model
from tests.helpers.lambda_context import lambda_context

EVENTS = Path(__file__).parents[2] / "events"
OUTCOMES = {
    "store/billing": "RECEIVED",
    "store/reused-id": "RECEIVED",
    "store/content-too-long": "InvalidTicket",
    "store/missing-content": "InvalidTicket",
    "classify/billing": "RECEIVED",
    "classify/no-ticket": "InvalidTicket",
    "classify/prompt-injection": "RECEIVED",
    "update/analysis": "PROCESSED",
    "update/deferral": "RECEIVED",
    "update/failure": "FAILED",
    "update/failure-without-ticket-id": "InvalidTicket",
    "update/no-analysis": "InvalidTicket",
    "notify/processed": "PROCESSED",
    "notify/unknown-ticket": "TicketNotFound",
}


def event(name: str) -> dict[str, Any]:
    return dict(json.loads((EVENTS / f"{name}.json").read_text()))


def run(name: str, changes: dict[str, Any] | None = None) -> dict[str, Any]:
    task = importlib.import_module(f"support.tasks.{name.split('/', maxsplit=1)[0]}")
    return dict(task.handler(event(name) | (changes or {}), lambda_context()))


@pytest.fixture
def stored(aws: None, model: Model) -> None:
    """The ticket of the events is in the table."""
    run("store/billing")


@pytest.fixture
def classified(stored: None) -> None:
    """The ticket of the events is in the table, with its analysis."""
    run("update/analysis")


def scanned() -> Any:
    return aws_client("dynamodb").scan(TableName=os.environ["TICKETS_TABLE"])["Items"]


def outcome(name: str) -> str:
    try:
        return str(run(name)["ticket"]["status"])
    except Exception as error:  # noqa: BLE001 - the outcome is the name of any exception
        return type(error).__name__


def test_every_event_has_an_expected_outcome() -> None:
    assert {f"{p.parent.name}/{p.stem}" for t in ("store", "classify", "update", "notify")
            for p in (EVENTS / t).glob("*.json")} == set(OUTCOMES)  # fmt: skip


@pytest.mark.parametrize(("name", "expected"), [o for o in OUTCOMES.items() if not o[0].startswith("notify")])
def test_a_task_has_the_outcome_that_its_event_expects(stored: None, name: str, expected: str) -> None:
    assert outcome(name) == expected


@pytest.mark.parametrize(("name", "expected"), [o for o in OUTCOMES.items() if o[0].startswith("notify")])
def test_notify_has_the_outcome_that_its_event_expects(
    classified: None, support_topic: None, name: str, expected: str
) -> None:
    assert outcome(name) == expected


def test_a_prompt_injection_is_classified_like_any_ticket(stored: None) -> None:
    analysis = run("classify/prompt-injection")["ticket"]["analysis"]

    assert analysis["urgency"] != "CRITICAL"
    assert "You triage support tickets" not in json.dumps(analysis)


def test_a_ticket_without_analysis_is_not_published(stored: None) -> None:
    with pytest.raises(Exception, match="no analysis"):
        run("notify/processed")


def test_a_failure_that_lambda_reports_is_recorded_with_its_error_message(stored: None) -> None:
    failure = run("update/failure")["ticket"]["failure"]

    assert failure["error"] == "ModelRejected"
    assert failure["cause"] == "Converse: AccessDeniedException: no access to the model"


@pytest.mark.parametrize(
    ("caught", "cause"),
    [
        ({"Error": "States.Timeout", "Cause": "too long"}, "too long"),
        ({"Error": "States.Timeout"}, ""),
        ({"Error": "X", "Cause": '"text"'}, '"text"'),
        ({"Error": "X", "Cause": "x" * 5000}, "x" * 1000),
    ],
)
def test_any_other_cause_is_recorded_unchanged_up_to_a_limit(
    stored: None, caught: dict[str, str], cause: str
) -> None:
    failure = run("update/failure", {"failure": caught})["ticket"]["failure"]

    assert (failure["error"], failure["cause"]) == (caught["Error"], cause)


def test_recording_the_failure_of_a_ticket_that_was_never_stored_changes_nothing(aws: None) -> None:
    assert run("update/failure") == {"ticket": None}
    assert aws_client("dynamodb").scan(TableName=os.environ["TICKETS_TABLE"])["Count"] == 0


def test_a_deferral_records_the_start_and_the_reason_of_the_wait(stored: None) -> None:
    ticket = run("update/deferral")["ticket"]

    assert (ticket["status"], ticket["waitingFor"]) == ("RECEIVED", "ModelThrottled")
    assert ticket["waitingSince"]
    assert not ticket.keys() & {"leasedBy", "leasedUntil"}


def test_a_deferral_of_a_ticket_that_another_execution_is_processing_changes_nothing(stored: None) -> None:
    assert run("update/deferral", {"run": "arn:another"}) == {"ticket": None}
    assert not run("store/billing")["ticket"].keys() & {"waitingSince", "waitingFor"}


def test_a_failure_is_recorded_only_on_the_ticket_of_its_submission(stored: None) -> None:
    other = run("store/reused-id")["ticket"]
    failure = event("update/failure")["failure"]
    submission = event("store/reused-id")["submission"]
    update = event("update/failure") | {"submission": submission, "failure": failure}

    failed = importlib.import_module("support.tasks.update").handler(update, lambda_context())["ticket"]

    assert (failed["ticketId"], failed["status"]) == (other["ticketId"], "FAILED")
    assert run("store/billing")["ticket"]["status"] == "RECEIVED"


def test_the_failure_of_a_submission_that_was_never_stored_changes_no_ticket_with_its_id(
    stored: None,
) -> None:
    before = scanned()

    assert run("update/failure", {"submission": event("store/reused-id")["submission"]}) == {"ticket": None}
    assert scanned() == before


def test_every_log_line_has_ticket_and_execution_and_no_ticket_content(
    support_topic: None, model: Model, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-00000000-000000000000000000000001;Sampled=1")
    for name in (
        "store/billing",
        "classify/billing",
        "update/analysis",
        "notify/processed",
        "update/failure",
        "update/deferral",
    ):
        run(name)
    own_id = run("store/reused-id")["ticket"]["ticketId"]
    outcome("store/content-too-long")

    output = log.getvalue()
    lines = [json.loads(line) for line in output.splitlines()]
    ticket_id = event("store/billing")["submission"]["ticketId"]
    assert [line["ticketId"] for line in lines] == [ticket_id] * 6 + [own_id, ticket_id]
    for line in lines:
        assert line["execution"] == "manual"
        assert line["durationMs"] >= 0
        assert "cold_start" in line
        assert line["xray_trace_id"] == "1-00000000-000000000000000000000001"
    for text in (
        "charged twice",
        "Double charge",
        "under the id of billing.json",
        "xxxx",
        "asks for a refund",
        "We are sorry",
    ):
        assert text not in output


def test_the_line_of_a_classified_ticket_has_the_model_and_its_tokens(
    stored: None, model: Model, log: io.StringIO
) -> None:
    result = run("classify/billing")["ticket"]["analysis"]["model"]

    assert json.loads(log.getvalue().splitlines()[-1])["modelCall"] == result


def test_a_defect_is_logged_with_its_ticket_and_without_its_message(
    stored: None, model: Model, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise KeyError("I was charged twice.")

    monkeypatch.setattr("support.domain.analysis.complete", crash)

    with pytest.raises(KeyError):
        run("classify/billing")

    line = json.loads(log.getvalue().splitlines()[-1])
    assert (line["message"], line["error"]) == ("task crashed", "KeyError")
    assert line["ticketId"] == event("store/billing")["submission"]["ticketId"]
    assert "charged twice" not in log.getvalue()


def test_only_a_temporary_error_is_logged_as_one_that_is_retried(
    stored: None, model: Model, log: io.StringIO
) -> None:
    model.fail(throttle=1.0)
    outcome("classify/billing")
    model.fail(deny=1.0)
    outcome("classify/billing")

    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    failures = [(line["error"], line["message"]) for line in lines if line["level"] == "WARNING"]
    assert failures == [
        ("ModelThrottled", "task failed; it is retried if attempts are left"),
        ("ModelRejected", "task failed"),
    ]


def test_every_call_is_counted_as_a_success_or_a_failure(
    aws: None, model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    run("store/billing")
    outcome("store/missing-content")

    metrics = [line for line in map(json.loads, capsys.readouterr().out.splitlines()) if "_aws" in line]
    outcomes = [set(line) & {"TaskSucceeded", "TaskFailed"} for line in metrics]
    assert [outcome for outcome in outcomes if outcome] == [{"TaskSucceeded"}, {"TaskFailed"}]
