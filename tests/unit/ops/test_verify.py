"""The first-deployment check: its table, its exit codes, and answers that must not pass."""

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
from ops.verify import api_checks, request_checks, ticket_checks, watch_checks
from ops.verify.command import CHECKS, Check, verify
from ops.verify.finding import CheckError, Finding, Result, failed, ok, warning
from ops.verify.site import Sent, Site

SECURITY_GUIDE = (Path(__file__).parents[3] / "docs" / "security.md").read_text()


class Aws:
    """A client of any service, of a stack that is there and has nothing in it."""

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
        title="stack pipeline in eu-west-1",
        name="pipeline",
        client=lambda _service: Aws(),
        outputs=dict.fromkeys(OUTPUTS, "https://api.example.com/prod"),
        parameters=parameters,
    )


def run(*checks: Check) -> tuple[int, list[str]]:
    """The exit code, and what is written."""
    output = io.StringIO()
    named = [(f"check {number}", check) for number, check in enumerate(checks)]
    code = verify(stack(), Report(Console(file=output)), seconds=0, checks=named)
    return code, output.getvalue().splitlines()


def finding(result: Finding) -> Check:
    return lambda _site: result


def test_it_says_first_on_what_it_acts() -> None:
    _, lines = run()
    assert lines[0] == (
        "Checking stack pipeline in eu-west-1 (pipeline) in account 123456789012, region eu-west-1: "
        "https://api.example.com/prod"
    )


@pytest.mark.parametrize(
    ("found", "code", "summary"),
    [
        ([ok("fine")], 0, "2 checks: 2 ok, 0 warnings, 0 failed."),
        ([ok("fine"), warning("late", "wait")], 0, "3 checks: 2 ok, 1 warning, 0 failed."),
        ([failed("no", "mend it"), ok("fine")], 1, "3 checks: 2 ok, 0 warnings, 1 failed."),
    ],
)
def test_it_ends_with_1_when_a_check_failed(found: Sequence[Finding], code: int, summary: str) -> None:
    ended, lines = run(*map(finding, found))
    assert ended == code
    assert summary in lines


def test_a_row_says_what_was_found_and_what_to_do() -> None:
    _, lines = run(finding(failed("Two stages.", "Delete one.")))
    assert re.fullmatch(r"check 0 +failed +Two stages\. → Delete one\.", lines[3])


def test_what_aws_says_cannot_steer_the_terminal() -> None:
    _, lines = run(finding(failed("\x1b[2J\nok", "x")))
    assert "[2J ok → x" in lines[3]
    assert not any("\x1b" in line for line in lines)


def test_on_a_terminal_a_long_text_is_folded_beside_its_head() -> None:
    output = io.StringIO()
    report = Report(Console(file=output, force_terminal=True, width=40, color_system=None))

    report.row("one stage   ok   ", "a " * 20 + "b", "green")

    lines = output.getvalue().splitlines()
    assert lines[0].startswith("one stage   ok   a a")
    assert all(line.startswith(" " * 17 + "a") for line in lines[1:])
    assert max(map(len, lines)) <= 40


def raises(error: BaseException) -> Check:
    def check(_site: Site) -> Finding:
        raise error

    return check


@pytest.mark.parametrize(
    "error", [CheckError("There is no token."), KeyError("FunctionArn"), httpx.ConnectError("refused")]
)
def test_a_check_that_cannot_be_made_has_failed_and_stops_no_other(error: Exception) -> None:
    code, lines = run(raises(error), finding(ok("fine")))
    assert code == 1
    assert str(error) in lines[3]
    assert lines[3].split()[2:3] == ["failed"]
    assert lines[4].split()[2:] == ["ok", "fine"]


def leaves(what: str, remove: Callable[[], None]) -> Check:
    def check(site: Site) -> Finding:
        site.leftovers.add(what, remove)
        return ok(what)

    return check


def terminates(_site: Site) -> Finding:
    os.kill(os.getpid(), signal.SIGTERM)
    return ok("still here")


@pytest.mark.parametrize("stop", [raises(KeyboardInterrupt()), terminates])
def test_interrupted_or_terminated_it_removes_what_it_made(stop: Check) -> None:
    removed: list[str] = []
    checks = leaves("queue", lambda: removed.append("queue")), leaves("user", lambda: removed.append("user"))

    with pytest.raises(KeyboardInterrupt):
        run(*checks, stop, leaves("never", lambda: removed.append("never")))

    assert removed == ["user", "queue"]


def test_what_cannot_be_removed_is_named_and_keeps_nothing_else() -> None:
    removed: list[str] = []

    def refuse() -> None:
        raise CheckError("denied")

    code, lines = run(leaves("queue", lambda: removed.append("queue")), leaves("user", refuse))

    assert (code, removed) == (1, ["queue"])
    assert any("left behind: user (denied)" in line for line in lines)


def test_nothing_interrupts_the_removal() -> None:
    removed: list[str] = []

    def interrupted() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        removed.append("user")

    assert run(leaves("queue", lambda: removed.append("queue")), leaves("user", interrupted))[0] == 0
    assert removed == ["user", "queue"]


def test_the_tickets_that_stay_are_named() -> None:
    def send(site: Site) -> Finding:
        site.tickets.append(Sent("7f9c24e8", {}))
        return ok("sent")

    _, lines = run(send)
    assert re.fullmatch(r"Stays behind, marked \[verify-aws \S+\]: 7f9c24e8\.", lines[-1])


def test_the_checks_have_names_of_their_own() -> None:
    assert len({title for title, _ in CHECKS}) == len(CHECKS)


def test_it_expects_of_every_method_what_the_security_guide_says() -> None:
    table = SECURITY_GUIDE.split("## Who may do what", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `([^`]+)` \| (\d+) / ", table, re.MULTILINE)
    asked = {name: kind for name, kind in api_checks.METHODS.items() if kind is not api_checks.OPEN}
    assert dict(rows) == {name: str(api_checks.REFUSALS[kind]) for name, kind in asked.items()}


# ---- Answers that must not pass ----


def site_that_answers(status: int, text: str = "{}", **headers: str) -> Any:
    """A site whose API gives the same answer to every request; `TOKEN` in the text is the request's token."""
    api = SimpleNamespace(answers=[])

    def send(_method: str, _path: str, *, token: str = "", **_: Any) -> httpx.Response:
        answer = httpx.Response(status, text=text.replace("TOKEN", token), headers=headers)
        api.answers.append(answer)
        return answer

    api.send = send
    customer = SimpleNamespace(subject="s", id_token="h.p.s", access_token="a")
    given = stack(AllowedOrigin="https://support.example.com", WafMode="off")
    return SimpleNamespace(
        api=api, customer=customer, mark="[m]", run_id="r", tickets=[], stack=given, patience=None
    )


ACCEPTED = '{"ticketId": "7f9c24e8-3b12-4a5f-9d6e-1c2b3a4d5e6f"}'


@pytest.mark.parametrize(
    ("check", "status", "text", "said"),
    [
        (request_checks.refusals, 200, "{}", "GET /tickets answered 200 in place of 401"),
        (request_checks.unknown_path, 404, "TOKEN", "quotes the caller's token"),
        (request_checks.unknown_path, 403, "{}", "is answered 403"),
        (request_checks.tokens, 200, "{}", "an access token is answered 200"),
        (request_checks.tokens, 401, "{}", "own ID token is answered 401"),
        (request_checks.invalid_bodies, 202, ACCEPTED, "a ticket without content is answered 202"),
        (request_checks.media_type, 202, ACCEPTED, "It is answered 202"),
        (ticket_checks.hostile_text, 400, '{"type": "urn:x"}', "is answered 400 (urn:x)"),
        (ticket_checks.charset, 415, "not JSON", "is answered 415"),
        (ticket_checks.idempotency_key, 202, ACCEPTED, "does not find the header idempotency-key"),
        (
            ticket_checks.request_id,
            202,
            '{"ticketId": "\\",\\"name\\":\\"x"}',
            "not of the form that ids have",
        ),
        (ticket_checks.unknown_field, 503, "{}", "is answered 503"),
    ],
)
def test_an_answer_that_is_not_right_fails(
    check: Callable[[Any], Finding], status: int, text: str, said: str
) -> None:
    found = check(site_that_answers(status, text))
    assert (found.result, said in found.text) == (Result.FAILED, True), found


def test_a_validator_that_passes_over_unknown_fields_is_a_warning() -> None:
    assert ticket_checks.unknown_field(site_that_answers(202, ACCEPTED)).result is Result.WARNING


@pytest.mark.parametrize(
    "missing", [*request_checks.SECURITY_HEADERS, "access-control-allow-origin", "content-type"]
)
def test_an_answer_without_a_header_fails(missing: str) -> None:
    complete = request_checks.SECURITY_HEADERS | {
        "access-control-allow-origin": "https://support.example.com",
        "content-type": "application/problem+json",
    }
    site = site_that_answers(400, **complete)
    site.api.send("GET", "/")
    assert request_checks.headers(site).result is Result.OK
    site = site_that_answers(400, **{name: value for name, value in complete.items() if name != missing})
    site.api.send("GET", "/")
    assert request_checks.headers(site).result is Result.FAILED


def site_with_alarms(*on: str) -> Any:
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
        stack=SimpleNamespace(client=lambda _: client), ids=lambda _: ["any"], resources=resources
    )


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        ([], Result.OK),
        (["TicketsFailedAlarm"], Result.WARNING),
        (["SweepErrorsAlarm"], Result.FAILED),
        (["TicketsFailedAlarm", "SweepErrorsAlarm"], Result.FAILED),
    ],
)
def test_an_alarm_that_is_on_fails_unless_it_may_be_on_after_a_good_deployment(
    on: list[str], expected: Result
) -> None:
    assert watch_checks.alarm_states(site_with_alarms(*on)).result is expected


def site_with_subscriptions(parameter: str, *subscriptions: tuple[str, str]) -> Any:
    found = [{"Protocol": protocol, "SubscriptionArn": arn} for protocol, arn in subscriptions]
    pages = SimpleNamespace(paginate=lambda **_: [{"Subscriptions": found}])
    client = SimpleNamespace(get_paginator=lambda _: pages)
    given = SimpleNamespace(client=lambda _: client, parameters={"AlarmEmail": parameter})
    return SimpleNamespace(stack=given, id_of=lambda name: name)


@pytest.mark.parametrize(
    ("parameter", "subscriptions", "expected"),
    [
        ("ssm", [("email", "arn:aws:sns:eu-west-1:1:t:u")], Result.OK),
        ("ssm", [("email", "PendingConfirmation")], Result.WARNING),
        ("ssm", [("sqs", "arn:aws:sns:eu-west-1:1:t:u")], Result.WARNING),
        ("ssm", [], Result.WARNING),
        ("none", [], Result.WARNING),
        ("none", [("sqs", "arn:aws:sns:eu-west-1:1:t:u")], Result.OK),
    ],
)
def test_alarms_that_nobody_gets_are_a_warning(
    parameter: str, subscriptions: list[tuple[str, str]], expected: Result
) -> None:
    assert watch_checks.alarm_mail(site_with_subscriptions(parameter, *subscriptions)).result is expected


@pytest.mark.parametrize(("stage", "expected"), [({}, Result.FAILED), ({"webAclArn": "arn:x"}, Result.OK)])
def test_a_firewall_that_is_asked_for_must_be_there(stage: dict[str, str], expected: Result) -> None:
    client = SimpleNamespace(get_stage=lambda **_: stage)
    given = SimpleNamespace(client=lambda _: client, parameters={"WafMode": "block"}, output=lambda _: "api")
    site: Any = SimpleNamespace(stack=given, id_of=lambda _: "prod")
    assert api_checks.firewall(site).result is expected
