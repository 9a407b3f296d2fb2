"""The command line: `python -m ops replay | recover | dismiss | rollback | verify`.

Exit codes: 0 all was done or goes on by itself, or there was nothing to do; 1 something was not (the report
says which); 2 the command could not be run as it was given.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta

from botocore.exceptions import BotoCoreError, ClientError

from ops.dismiss import Handle, dismiss
from ops.errors import UsageError
from ops.options import Options
from ops.recover import recover
from ops.replay import Selection, replay
from ops.report import Report
from ops.rollback import rollback
from ops.run import Run
from ops.stack import DeployedStack, deployed_stack, local_stack
from ops.target import Target
from ops.verify.command import verify
from support.domain.errors import PipelineError

_RECOVER_SINCE = timedelta(days=14)


def main(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Run the command that the arguments name, with the options in the environment; return the exit code."""
    try:
        return _run(Options.parse(arguments, environment), environment)
    except UsageError as error:
        return _complain(str(error), 2)
    except (PipelineError, ClientError, BotoCoreError) as error:
        return _complain(f"Ended early by AWS, with nothing lost: {error}", 1)
    except KeyboardInterrupt:
        return _complain("Stopped. What was replayed goes on by itself.", 130)


def _run(given: Options, environment: Mapping[str, str]) -> int:
    stack = _stack(given, environment)
    if given.command == "rollback":
        return rollback(stack, dry_run=given.dry_run)
    if given.command == "verify":
        return verify(stack, Report(), seconds=given.deadline)
    target = Target.of(stack)
    if given.command == "dismiss":
        handle = Handle.of(ticket_id=given.ticket, message_id=given.message)
        return dismiss(
            Run(target=target, report=Report(), dry_run=given.dry_run), handle, given.reason, given.save
        )
    run = Run(target=target, report=Report(), dry_run=given.dry_run, deadline=given.deadline)
    if given.command == "recover":
        return recover(run, given.since or _RECOVER_SINCE)
    return replay(run, Selection(ticket_id=given.ticket, since=given.since, error=given.error))


def _stack(given: Options, environment: Mapping[str, str]) -> DeployedStack:
    return deployed_stack(given.stack, given.profile) if given.stack else local_stack(environment)


def _complain(text: str, code: int) -> int:
    sys.stderr.write(f"{' '.join(text.split())}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
