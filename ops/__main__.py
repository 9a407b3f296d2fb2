"""The command line: `python -m ops replay | recover | dismiss | rollback | verify | ticket | trace |
cost | corrections | sweep | digest`.

The first line of the output says on which stack the command acts.

Exit codes: 0 everything succeeded or continues automatically, or there was nothing to do; 1 something failed,
and the report says what; 2 the command was invalid, or the stack was not found; 130 it was interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta

from botocore.exceptions import BotoCoreError, ClientError

from ops.context import CommandContext
from ops.corrections import DEFAULT_SINCE as CORRECTIONS_SINCE
from ops.corrections import save_corrections
from ops.cost import DEFAULT_SINCE, show_cost
from ops.dismiss import DismissalRequest, dismiss
from ops.options import Options, UsageError
from ops.recover import recover
from ops.replay import Selection, replay
from ops.report import Report
from ops.rollback import rollback
from ops.schedules import send_digest, sweep
from ops.show_ticket import show_ticket
from ops.stack import DeployedStack, deployed_stack, local_stack
from ops.target import Target
from ops.trace import trace
from ops.verify.command import verify
from support.domain.errors import PipelineError

_RECOVER_SINCE = timedelta(days=14)


def main(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Run the command in the arguments with the options in the environment; return the exit code."""
    try:
        return _run(Options.parse(arguments, environment), environment)
    except UsageError as error:
        return _fail(str(error), 2)
    except (PipelineError, ClientError, BotoCoreError) as error:
        return _fail(f"A call to AWS failed; no ticket was lost: {error}", 1)
    except KeyboardInterrupt:
        return _fail("Stopped. Replayed tickets continue automatically.", 130)


def _run(options: Options, environment: Mapping[str, str]) -> int:
    stack, report = _stack(options, environment), Report()
    report.line(f"Acting on {stack.location()}.")
    match options.command:
        case "rollback":
            return rollback(stack, report, dry_run=options.dry_run)
        case "verify":
            return verify(stack, report, seconds=options.deadline)
        case "sweep":
            return sweep(stack, report)
        case "digest":
            return send_digest(stack, report)
        case "cost":
            return show_cost(stack, report, options.since or DEFAULT_SINCE)
    return _run_on_tickets(options, stack, report)


def _run_on_tickets(options: Options, stack: DeployedStack, report: Report) -> int:
    context = CommandContext(
        target=Target.from_stack(stack), report=report, dry_run=options.dry_run, deadline=options.deadline
    )
    if options.command == "dismiss":
        return dismiss(context, _dismissal_request(options))
    if options.command == "recover":
        return recover(context, options.since or _RECOVER_SINCE)
    if options.command == "corrections":
        return save_corrections(context, options.since or CORRECTIONS_SINCE, options.save)
    if options.command == "ticket":
        return show_ticket(context, options.ticket or "", stack.physical_id("FunctionsLogGroup"))
    if options.command == "trace":
        return trace(context, options.ticket or "", stack.physical_id("FunctionsLogGroup"))
    return replay(context, Selection(ticket_id=options.ticket, since=options.since, error=options.error))


def _stack(options: Options, environment: Mapping[str, str]) -> DeployedStack:
    return deployed_stack(options.stack, options.profile) if options.stack else local_stack(environment)


def _dismissal_request(options: Options) -> DismissalRequest:
    return DismissalRequest(
        ticket_id=options.ticket, message_id=options.message, reason=options.reason, save_to=options.save
    )


def _fail(message: str, exit_code: int) -> int:
    sys.stderr.write(f"{' '.join(message.split())}\n")
    return exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
