"""Sweep and digest: run what a schedule runs, now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ops.failure_cause import readable_cause
from ops.formatting import count, sanitize
from ops.report import Report
from ops.stack import DeployedStack


def sweep(stack: DeployedStack, report: Report) -> int:
    """Sweep once; return the exit code: 1 when the function failed or could not sweep every stuck ticket.

    Raises:
        UsageError: the stack does not have the function.
        ClientError, BotoCoreError: the function could not be invoked.
    """
    counts = _run("SweepFunction", stack, report)
    if counts is None:
        return 1
    failed = counts["fault"] + counts["unavailable"]
    report.line(
        f"Sent {count(counts['swept'], 'stuck ticket')} to the waiting room, and set "
        f"{count(counts['set_aside'], 'unreadable ticket')} aside."
    )
    if failed:
        report.line(f"{count(failed, 'ticket')} could not be swept; the next sweep tries again.", "red")
    return int(failed > 0)


def send_digest(stack: DeployedStack, report: Report) -> int:
    """Send the digest now; return the exit code: 1 when the function failed.

    Raises: as `sweep`.
    """
    result = _run("DigestFunction", stack, report)
    if result is None:
        return 1
    if result["tickets"]:
        report.line(f"Sent a digest of {count(result['tickets'], 'ticket')}.")
    else:
        report.line("No tickets wait for the digest: no mail was sent.")
    return 0


def _run(function: str, stack: DeployedStack, report: Report) -> Mapping[str, Any] | None:
    """The result of the function's live version; None when it failed, which is reported."""
    alias = stack.physical_id(f"{function}Aliaslive")
    response = stack.client("lambda").invoke(FunctionName=alias, Payload=b"{}")
    result: dict[str, Any] = json.loads(response["Payload"].read())
    if "FunctionError" not in response:
        return result
    error = result.get("errorType", "")
    cause = readable_cause(error, result.get("errorMessage", ""))
    report.line(f"{function} failed with {sanitize(error)}: {cause}", "red")
    return None
