"""The first-deployment check: its table, its exit codes, and problems that must not pass."""

import io
import os
import re
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from rich.console import Console

from ops.report import Report
from ops.stack import DeployedStack, Resource
from ops.verify import api_checks, monitoring_checks, request_checks, ticket_checks
from ops.verify.check_result import CheckError, CheckResult, CheckStatus, failed, ok, warning
from ops.verify.command import CHECKS, Check, verify
from ops.verify.context import CheckContext, SubmittedTicket

SECURITY_GUIDE = (Path(__file__).parents[2] / "docs" / "security.md").read_text()


class FakeClient:
    """A client of any service for a stack without resources."""

    meta = SimpleNamespace(region_name="eu-west-1")

    def get_caller_identity(self) -> dict[str, str]:
        return {"Account": "123456789012"}

    def get_paginator(self, _operation: str) -> Any:
        return SimpleNamespace(paginate=lambda **_: [{"StackResourceSummaries": []}])


OUTPUTS = (
    "ApiUrl",
    "TicketsTable",
    "FailedTicketsQueueUrl",
    "WaitingRoomQueueUrl",
    "PriorityWaitingRoomQueueUrl",
    "StateMachineLogGroup",
    "OperationsLogGroup",
)


def stack(**parameters: str) -> DeployedStack:
    return DeployedStack(
        label="stack pipeline in eu-west-1",
        name="pipeline",
        client=lambda _service: FakeClient(),
        outputs=dict.fromkeys(OUTPUTS, "https://api.example.com/prod"),
        parameters=parameters,
    )


def run(*checks: Check) -> tuple[int, list[str]]:
    """The exit code and the lines of the output."""
    output = io.StringIO()
    named = [(f"check {number}", check) for number, check in enumerate(checks)]
    code = verify(stack(), Report(Console(file=output)), seconds=0, checks=named)
    return code, output.getvalue().splitlines()


def returns(result: CheckResult) -> Check:
    return lambda _context: result


def test_the_stack_and_the_address_are_printed_first() -> None:
    _, lines = run()
    assert lines[0] == "Checking pipeline: https://api.example.com/prod"


@pytest.mark.parametrize(
    ("results", "exit_code", "summary"),
    [
        ([ok("fine")], 0, "2 checks: 2 ok, 0 warnings, 0 failed."),
        ([ok("fine"), warning("late", "wait")], 0, "3 checks: 2 ok, 1 warning, 0 failed."),
        ([failed("no", "fix it"), ok("fine")], 1, "3 checks: 2 ok, 0 warnings, 1 failed."),
    ],
)
def test_the_exit_code_is_1_when_a_check_failed(
    results: Sequence[CheckResult], exit_code: int, summary: str
) -> None:
    code, lines = run(*map(returns, results))
    assert code == exit_code
    assert summary in lines


def test_a_row_contains_the_result_and_the_advice() -> None:
    _, lines = run(returns(failed("Two stages.", "Delete one.")))
    assert re.fullmatch(r"check 0 +failed +Two stages\. → Delete one\.", lines[3])


def test_control_characters_are_not_printed() -> None:
    _, lines = run(returns(failed("\x1b[2J\nok", "x")))
    assert "[2J ok → x" in lines[3]
    assert not any("\x1b" in line for line in lines)


def test_on_a_terminal_a_long_text_is_wrapped_in_its_column() -> None:
    output = io.StringIO()
    report = Report(Console(file=output, force_terminal=True, width=40, color_system=None))

    report.row("one stage   ok   ", "a " * 20 + "b", "green")

    lines = output.getvalue().splitlines()
    assert lines[0].startswith("one stage   ok   a a")
    assert all(line.startswith(" " * 17 + "a") for line in lines[1:])
    assert max(map(len, lines)) <= 40


def raises(error: BaseException) -> Check:
    def check(_context: CheckContext) -> CheckResult:
        raise error

    return check


@pytest.mark.parametrize(
    "error", [CheckError("There is no token."), KeyError("FunctionArn"), httpx.ConnectError("refused")]
)
def test_a_check_that_cannot_run_fails_and_does_not_stop_the_others(error: Exception) -> None:
    code, lines = run(raises(error), returns(ok("fine")))
    assert code == 1
    assert str(error) in lines[3]
    assert lines[3].split()[2:3] == ["failed"]
    assert lines[4].split()[2:] == ["ok", "fine"]


def creates(name: str, remove: Callable[[], None]) -> Check:
    def check(context: CheckContext) -> CheckResult:
        context.cleanup.add(name, remove)
        return ok(name)

    return check


def terminates(_context: CheckContext) -> CheckResult:
    os.kill(os.getpid(), signal.SIGTERM)
    return ok("still running")


@pytest.mark.parametrize("stop", [raises(KeyboardInterrupt()), terminates])
def test_an_interrupted_check_removes_its_temporary_resources(stop: Check) -> None:
    removed: list[str] = []
    checks = (
        creates("queue", lambda: removed.append("queue")),
        creates("user", lambda: removed.append("user")),
    )

    with pytest.raises(KeyboardInterrupt):
        run(*checks, stop, creates("never", lambda: removed.append("never")))

    assert removed == ["user", "queue"]


def test_a_resource_that_cannot_be_removed_is_reported_and_the_others_are_removed() -> None:
    removed: list[str] = []

    def fail() -> None:
        raise CheckError("denied")

    code, lines = run(creates("queue", lambda: removed.append("queue")), creates("user", fail))

    assert (code, removed) == (1, ["queue"])
    assert any("not removed: user (denied)" in line for line in lines)


def test_signals_do_not_interrupt_the_cleanup() -> None:
    removed: list[str] = []

    def remove() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        removed.append("user")

    assert run(creates("queue", lambda: removed.append("queue")), creates("user", remove))[0] == 0
    assert removed == ["user", "queue"]


def test_the_remaining_tickets_are_listed() -> None:
    def send(context: CheckContext) -> CheckResult:
        context.tickets.append(SubmittedTicket("7f9c24e8", {}))
        return ok("sent")

    _, lines = run(send)
    assert re.fullmatch(r"Remaining tickets, marked \[verify-aws \S+\]: 7f9c24e8\.", lines[-1])


def test_the_titles_of_the_checks_are_unique() -> None:
    assert len({title for title, _ in CHECKS}) == len(CHECKS)


def test_the_expected_authorization_of_every_method_is_that_of_the_security_guide() -> None:
    table = SECURITY_GUIDE.split("## Who may do what", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `([^`]+)` \| (\d+) / ", table, re.MULTILINE)
    protected = {name: kind for name, kind in api_checks.METHODS.items() if kind is not api_checks.OPEN}
    assert dict(rows) == {name: str(api_checks.REFUSALS[kind]) for name, kind in protected.items()}


# ---- Problems that must not pass ----


def context_with_response(status: int, text: str = "{}", **headers: str) -> Any:
    """A context whose API returns the same response to every request; `TOKEN` becomes the request's token."""
    api = SimpleNamespace(responses=[])

    def send(_method: str, _path: str, *, token: str = "", **_: Any) -> httpx.Response:
        response = httpx.Response(status, text=text.replace("TOKEN", token), headers=headers)
        api.responses.append(response)
        return response

    api.send = send
    customer = SimpleNamespace(subject="s", id_token="h.p.s", access_token="a")
    stack_with_api = stack(AllowedOrigin="https://support.example.com", WafMode="off")
    return SimpleNamespace(
        api=api, customer=customer, subject_prefix="[p]", run_id="r", tickets=[], stack=stack_with_api
    )


ACCEPTED = '{"ticketId": "7f9c24e8-3b12-4a5f-9d6e-1c2b3a4d5e6f"}'


@pytest.mark.parametrize(
    ("check", "status", "text", "expected"),
    [
        (request_checks.no_credentials, 200, "{}", "GET /tickets returned 200 instead of 401"),
        (request_checks.unknown_path, 404, "TOKEN", "quotes the caller's token"),
        (request_checks.unknown_path, 403, "{}", "returned 403"),
        (request_checks.tokens, 200, "{}", "an access token returned 200"),
        (request_checks.tokens, 401, "{}", "own ID token returned 401"),
        (request_checks.invalid_bodies, 202, ACCEPTED, "a ticket without content returned 202"),
        (request_checks.media_type, 202, ACCEPTED, "It returned 202"),
        (ticket_checks.hostile_text, 400, '{"type": "urn:x"}', "returned 400 (urn:x)"),
        (ticket_checks.charset, 415, "not JSON", "returned 415"),
        (ticket_checks.idempotency_key, 202, ACCEPTED, "does not find the header idempotency-key"),
        (
            ticket_checks.request_id,
            202,
            '{"ticketId": "\\",\\"name\\":\\"x"}',
            "id has an invalid format",
        ),
        (ticket_checks.unknown_field, 503, "{}", "returned 503"),
    ],
)
def test_a_wrong_response_fails(
    check: Callable[[Any], CheckResult], status: int, text: str, expected: str
) -> None:
    result = check(context_with_response(status, text))
    assert (result.status, expected in result.text) == (CheckStatus.FAILED, True), result


def test_a_validator_that_ignores_unknown_fields_is_a_warning() -> None:
    assert ticket_checks.unknown_field(context_with_response(202, ACCEPTED)).status is CheckStatus.WARNING


@pytest.mark.parametrize(
    "missing", [*request_checks.SECURITY_HEADERS, "access-control-allow-origin", "content-type"]
)
def test_a_response_without_a_header_fails(missing: str) -> None:
    complete = request_checks.SECURITY_HEADERS | {
        "access-control-allow-origin": "https://support.example.com",
        "content-type": "application/problem+json",
    }
    context = context_with_response(400, **complete)
    context.api.send("GET", "/")
    assert request_checks.headers(context).status is CheckStatus.OK
    context = context_with_response(400, **{name: v for name, v in complete.items() if name != missing})
    context.api.send("GET", "/")
    assert request_checks.headers(context).status is CheckStatus.FAILED


def context_with_alarms(*on: str) -> Any:
    alarms = [
        {"AlarmName": name, "StateValue": "ALARM" if name in on else "OK", "AlarmDescription": "Why."}
        for name in ("TicketsFailedAlarm", "FailedTicketsWaitingAlarm", "SweepErrorsAlarm")
    ]
    pages = SimpleNamespace(paginate=lambda **_: [{"MetricAlarms": alarms}])
    client = SimpleNamespace(get_paginator=lambda _: pages)
    resources = [
        Resource("AWS::CloudWatch::Alarm", alarm["AlarmName"], alarm["AlarmName"]) for alarm in alarms
    ]
    return SimpleNamespace(
        stack=SimpleNamespace(client=lambda _: client),
        physical_ids=lambda _: ["any"],
        resources=resources,
    )


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        ([], CheckStatus.OK),
        (["TicketsFailedAlarm"], CheckStatus.WARNING),
        (["SweepErrorsAlarm"], CheckStatus.FAILED),
        (["TicketsFailedAlarm", "SweepErrorsAlarm"], CheckStatus.FAILED),
    ],
)
def test_an_alarm_that_is_on_fails_unless_it_is_expected(on: list[str], expected: CheckStatus) -> None:
    assert monitoring_checks.alarm_states(context_with_alarms(*on)).status is expected


def context_with_subscriptions(parameter: str, *subscriptions: tuple[str, str]) -> Any:
    found = [{"Protocol": protocol, "SubscriptionArn": arn} for protocol, arn in subscriptions]
    pages = SimpleNamespace(paginate=lambda **_: [{"Subscriptions": found}])
    client = SimpleNamespace(get_paginator=lambda _: pages)
    stack = SimpleNamespace(client=lambda _: client, parameters={"AlarmEmail": parameter})
    return SimpleNamespace(stack=stack, physical_id=lambda name: name)


@pytest.mark.parametrize(
    ("parameter", "subscriptions", "expected"),
    [
        ("ssm", [("email", "arn:aws:sns:eu-west-1:1:t:u")], CheckStatus.OK),
        ("ssm", [("email", "PendingConfirmation")], CheckStatus.WARNING),
        ("ssm", [("sqs", "arn:aws:sns:eu-west-1:1:t:u")], CheckStatus.WARNING),
        ("ssm", [], CheckStatus.WARNING),
        ("none", [], CheckStatus.WARNING),
        ("none", [("sqs", "arn:aws:sns:eu-west-1:1:t:u")], CheckStatus.OK),
    ],
)
def test_alarms_without_a_recipient_are_a_warning(
    parameter: str, subscriptions: list[tuple[str, str]], expected: CheckStatus
) -> None:
    context = context_with_subscriptions(parameter, *subscriptions)
    assert monitoring_checks.alarm_recipients(context).status is expected


@pytest.mark.parametrize(
    ("stage", "expected"), [({}, CheckStatus.FAILED), ({"webAclArn": "arn:x"}, CheckStatus.OK)]
)
def test_a_firewall_that_is_on_must_exist(stage: dict[str, str], expected: CheckStatus) -> None:
    client = SimpleNamespace(get_stage=lambda **_: stage)
    stack = SimpleNamespace(client=lambda _: client, parameters={"WafMode": "block"}, output=lambda _: "api")
    context: Any = SimpleNamespace(stack=stack, physical_id=lambda _: "prod")
    assert api_checks.firewall(context).status is expected
