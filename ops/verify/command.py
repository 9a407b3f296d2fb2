"""`make verify-aws`: runs the checks on a stack, prints their results, and removes what they created."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from ops.formatting import count, one_line, sanitize
from ops.report import Report
from ops.stack import DeployedStack
from ops.verify import (
    api_checks,
    failure_checks,
    monitoring_checks,
    release_checks,
    request_checks,
    ticket_checks,
)
from ops.verify.check_result import CheckError, CheckResult, CheckStatus, failed, ok_unless
from ops.verify.context import CheckContext, Deadline

type Check = Callable[[CheckContext], CheckResult]

# Checks that only read come first, then those that send requests, then those that wait for the effects.
CHECKS: Sequence[tuple[str, Check]] = (
    ("one stage", api_checks.one_stage),
    ("authorization of each method", api_checks.methods),
    ("authorizer", api_checks.authorizer),
    ("rates and quotas", api_checks.limits),
    ("firewall", api_checks.firewall),
    ("aliases", release_checks.aliases),
    ("callers of the aliases", release_checks.callers),
    ("alarms", monitoring_checks.alarm_actions),
    ("alarms' states", monitoring_checks.alarm_states),
    ("who gets alarms", monitoring_checks.alarm_recipients),
    ("who gets mail about tickets", monitoring_checks.mail_recipients),
    ("queues of the topics", monitoring_checks.queue_subscriptions),
    ("log groups", monitoring_checks.log_groups),
    ("temporary customer", ticket_checks.customer),
    ("temporary queue", ticket_checks.notification_queue),
    ("failure on purpose", failure_checks.start),
    ("no credentials", request_checks.no_credentials),
    ("tokens", request_checks.tokens),
    ("unknown path", request_checks.unknown_path),
    ("invalid bodies", request_checks.invalid_bodies),
    ("unknown field", ticket_checks.unknown_field),
    ("body that is not JSON", request_checks.media_type),
    ("hostile text", ticket_checks.hostile_text),
    ("content type with charset", ticket_checks.charset),
    ("idempotency-key in lower case", ticket_checks.idempotency_key),
    ("hostile x-amzn-RequestId", ticket_checks.request_id),
    ("tickets read back", ticket_checks.read_back),
    ("notifications", ticket_checks.notifications),
    ("failure message", failure_checks.message),
    ("replay", failure_checks.replay),
    ("security headers", request_checks.headers),
    ("access log", api_checks.access_log),
    ("mail about tickets", monitoring_checks.mail_sent),
    ("metrics of executions", monitoring_checks.metrics),
    ("alarm on failed executions", monitoring_checks.alarm_raised),
    ("failed-tickets queue", failure_checks.queue_clean),
)
_CLEANUP_TITLE = "temporary user, queue, message"
_TITLE_WIDTH = max(len(title) for title, _ in CHECKS) + 2
_STYLES = {CheckStatus.OK: "green", CheckStatus.WARNING: "yellow", CheckStatus.FAILED: "red"}


def verify(
    stack: DeployedStack, report: Report, *, seconds: float, checks: Sequence[tuple[str, Check]] = CHECKS
) -> int:
    """Run the checks; return the exit code: 1 when one failed.

    Raises:
        UsageError: the stack is not a support pipeline.
        KeyboardInterrupt: the run was interrupted or terminated; the temporary resources are removed.
    """
    run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    context = CheckContext.from_stack(stack, run_id, Deadline(seconds))
    table = _Table(report)
    report.line(_introduction(context))
    table.write_head()
    with _sigterm_as_interrupt():
        try:
            for title, check in checks:
                table.add(title, _run(check, context))
        finally:
            table.add(_CLEANUP_TITLE, _clean_up(context))
            report.line(table.summary())
            report.line(_remaining(context))
    return int(table.has_failed)


def _introduction(context: CheckContext) -> str:
    return (
        f"Checking {context.stack.name}: {context.stack.api_url}\n"
        f"This submits tickets whose subjects begin with {context.subject_prefix}, and makes one execution "
        "fail. The support team and the recipients of alarms are notified as usual."
    )


def _run(check: Check, context: CheckContext) -> CheckResult:
    try:
        return check(context)
    except CheckError as error:
        return failed(str(error), "See the rows above.")
    except Exception as error:  # noqa: BLE001 - it must not stop the other checks
        return failed(f"The check did not run: {type(error).__name__}: {error}", "See the error.")


def _clean_up(context: CheckContext) -> CheckResult:
    problems = [f"not removed: {failure}" for failure in context.cleanup.run()]
    context.api.close()
    return ok_unless(problems, "Everything temporary is removed.", "Delete it manually.")


def _remaining(context: CheckContext) -> str:
    ids = ", ".join(sanitize(ticket.ticket_id) for ticket in context.tickets) or "none"
    failing = context.failing
    execution = f" The execution that failed on purpose is {failing.ticket_id}." if failing else ""
    return f"Remaining tickets, marked {context.subject_prefix}: {ids}.{execution}"


class _Table:
    """The rows of the results, written as they are added."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._statuses: list[CheckStatus] = []

    def write_head(self) -> None:
        self._report.row(self._head("check", "result"), "what was found → what to do")

    def add(self, title: str, result: CheckResult) -> None:
        self._statuses.append(result.status)
        text = f"{result.text} → {result.advice}" if result.advice else result.text
        head = self._head(title, result.status)
        # The text may contain words of AWS.
        self._report.row(head, one_line(text), _STYLES[result.status])

    def _head(self, title: str, status: str) -> str:
        return f"{title:<{_TITLE_WIDTH}}{status:<9}"

    @property
    def has_failed(self) -> bool:
        return CheckStatus.FAILED in self._statuses

    def summary(self) -> str:
        ok, warnings, failures = (self._statuses.count(status) for status in CheckStatus)
        total = count(len(self._statuses), "check")
        return f"{total}: {ok} ok, {count(warnings, 'warning')}, {failures} failed."


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Handle SIGTERM like Ctrl-C, so that the temporary resources are removed."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
