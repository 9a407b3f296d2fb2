"""`make verify-aws`: runs all checks on a stack, prints the table, and removes what it made."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from ops.report import Report, count, harmless
from ops.stack import DeployedStack
from ops.verify import api_checks, failure_checks, release_checks, request_checks, ticket_checks, watch_checks
from ops.verify.finding import CheckError, Finding, Result, failed, judged
from ops.verify.site import Patience, Site

type Check = Callable[[Site], Finding]

# In this order: first what only looks, then what sends, then what waits for what was sent.
CHECKS: Sequence[tuple[str, Check]] = (
    ("one stage", api_checks.one_stage),
    ("authorization of each method", api_checks.methods),
    ("authorizer", api_checks.authorizer),
    ("rates and quotas", api_checks.limits),
    ("firewall", api_checks.firewall),
    ("aliases", release_checks.aliases),
    ("callers of the aliases", release_checks.callers),
    ("alarms", watch_checks.alarm_actions),
    ("alarms' states", watch_checks.alarm_states),
    ("who gets alarms", watch_checks.alarm_mail),
    ("who gets mail about tickets", watch_checks.ticket_mail),
    ("queues of the topics", watch_checks.queues_subscribed),
    ("log groups", watch_checks.log_groups),
    ("temporary customer", ticket_checks.customer),
    ("temporary queue", ticket_checks.inbox),
    ("failure on purpose", failure_checks.start),
    ("no credentials", request_checks.refusals),
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
    ("announcements", ticket_checks.announced),
    ("failure message", failure_checks.kept),
    ("replay", failure_checks.replayed),
    ("security headers", request_checks.headers),
    ("access log", api_checks.access_log),
    ("mail about tickets", watch_checks.mail_sent),
    ("metrics of executions", watch_checks.metrics),
    ("alarm on failed executions", watch_checks.alarm_raised),
    ("failed-tickets queue", failure_checks.queue_left_clean),
)
_CLEANING = "temporary user, queue, message"
_WIDTH = max(len(title) for title, _ in CHECKS) + 2
_STYLES = {Result.OK: "green", Result.WARNING: "yellow", Result.FAILED: "red"}


def verify(
    stack: DeployedStack, report: Report, *, seconds: float, checks: Sequence[tuple[str, Check]] = CHECKS
) -> int:
    """Run the checks; return the exit code: 1 when one failed.

    Raises:
        UsageError: the stack is not a support pipeline.
        KeyboardInterrupt: it was interrupted or terminated; what it made is removed.
    """
    run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    site = Site.of(stack, run_id, Patience(seconds))
    table = _Table(report)
    report.say(_introduction(site))
    report.row(f"{'check':<{_WIDTH}}{'result':<9}", "what was found → what to do")
    with _termination_as_interrupt():
        try:
            for title, check in checks:
                table.add(title, _found(check, site))
        finally:
            left = site.leftovers.remove()
            site.api.close()
            text = "Everything temporary is removed."
            table.add(
                _CLEANING, judged([f"left behind: {what}" for what in left], text, "Delete it by hand.")
            )
            report.say(table.summary())
            report.say(_kept(site))
    return int(table.has_failed)


def _introduction(site: Site) -> str:
    sts = site.stack.client("sts")
    return (
        f"Checking {site.stack.title} ({site.stack.name}) in account {sts.get_caller_identity()['Account']}, "
        f"region {sts.meta.region_name}: {site.stack.api_url}\n"
        f"It sends some tickets, whose subjects begin with {site.mark}, and fails one on purpose. "
        "Whoever gets announcements, mail and alarms hears of them."
    )


def _found(check: Check, site: Site) -> Finding:
    try:
        return check(site)
    except CheckError as error:
        return failed(str(error), "See the rows above.")
    except Exception as error:  # noqa: BLE001 - reported, because it must stop no other check
        return failed(f"It could not be made: {type(error).__name__}: {error}", "See what the error says.")


def _kept(site: Site) -> str:
    ids = ", ".join(harmless(sent.ticket_id) for sent in site.tickets) or "no tickets"
    failing = f" The execution that failed on purpose is {site.failing.ticket_id}." if site.failing else ""
    return f"Stays behind, marked {site.mark}: {ids}.{failing}"


class _Table:
    """The rows, written as they come."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._results: list[Result] = []

    def add(self, title: str, finding: Finding) -> None:
        self._results.append(finding.result)
        text = f"{finding.text} → {finding.advice}" if finding.advice else finding.text
        # Some of it came from AWS: no control characters, in one line.
        plain = "".join(c if c.isprintable() else " " for c in text)
        head = f"{title:<{_WIDTH}}{finding.result:<9}"
        self._report.row(head, " ".join(plain.split()), _STYLES[finding.result])

    @property
    def has_failed(self) -> bool:
        return Result.FAILED in self._results

    def summary(self) -> str:
        ok, warnings, failures = (self._results.count(result) for result in Result)
        return (
            f"{count(len(self._results), 'check')}: {ok} ok, {count(warnings, 'warning')}, {failures} failed."
        )


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """SIGTERM ends it as Ctrl-C does, so that it removes what it made."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
