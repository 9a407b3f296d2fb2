"""The command line: `python -m ops replay | recover | rollback`, with options as flags or in the environment.

Exit codes: 0 all was processed, or there was nothing to do; 1 something was not (the report says which);
2 the command could not be run as it was given.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from ops.errors import UsageError
from ops.recover import recover
from ops.replay import Selection, replay
from ops.report import Report
from ops.rollback import Deployed, deployed_to_aws, local_deployed, rollback
from ops.run import Run
from ops.target import Target, deployed_target, local_target
from support.domain.errors import PipelineError

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_FLAGS = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> int:
    """Do what was asked; return the exit code."""
    try:
        options = _parser(environment).parse_args(arguments)
        return _run(options, environment)
    except UsageError as error:
        return _complain(str(error), 2)
    except (PipelineError, ClientError, BotoCoreError) as error:
        return _complain(f"Ended early by AWS, with nothing lost: {error}", 1)
    except KeyboardInterrupt:
        return _complain("Stopped. What was replayed goes on by itself.", 130)


def _run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    if options.command == "recover" and (given := [n for n in ("TICKET", "ERROR") if environment.get(n)]):
        raise UsageError(f"recover takes no {given[0]}: leave it out, and see with DRY_RUN=1 what is lost.")
    if options.command == "rollback":
        return rollback(_deployed(options, environment), dry_run=options.dry_run)
    run = Run(
        target=_target(options, environment),
        report=Report(),
        dry_run=options.dry_run,
        deadline=options.deadline,
    )
    if options.command == "recover":
        return recover(run, options.since)
    return replay(run, Selection(ticket_id=options.ticket, since=options.since, error=options.error))


def _target(options: argparse.Namespace, environment: Mapping[str, str]) -> Target:
    if options.stack:
        return deployed_target(options.stack, options.profile)
    _refuse_profile(options)
    return local_target(environment)


def _deployed(options: argparse.Namespace, environment: Mapping[str, str]) -> Deployed:
    if options.stack:
        return deployed_to_aws(options.stack, options.profile)
    _refuse_profile(options)
    return local_deployed(environment)


def _refuse_profile(options: argparse.Namespace) -> None:
    if options.profile:
        raise UsageError("PROFILE is for a deployed stack: name it with STACK.")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see `python -m ops --help`)")


def _parser(environment: Mapping[str, str]) -> _Parser:
    def value(name: str, default: str | None = None) -> str | None:
        return environment.get(name) or default

    common = _Parser(add_help=False, allow_abbrev=False)
    common.add_argument("--dry-run", action="store_true", default=_flag(value("DRY_RUN", "0") or "0"))
    common.add_argument("--stack", default=value("STACK"), help="CloudFormation stack; the local one without")
    common.add_argument("--profile", default=value("PROFILE"), help="AWS profile, with --stack")
    common.add_argument(
        "--deadline", type=_seconds, default=value("DEADLINE", "300"), help="seconds to watch (300)"
    )
    parser = _Parser(
        prog="python -m ops",
        description="Every option can also be given in the environment: TICKET=, SINCE=, DRY_RUN=1 …",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    again = commands.add_parser(
        "replay", parents=[common], help="start failed tickets again", allow_abbrev=False
    )
    again.add_argument("--ticket", default=value("TICKET"), help="only this ticket")
    again.add_argument("--error", default=value("ERROR"), help="only this error, such as ModelThrottled")
    again.add_argument("--since", type=_duration, default=value("SINCE"), help="only the last 30m, 2h, 7d")
    lost = commands.add_parser(
        "recover", parents=[common], help="replay tickets that only the log holds", allow_abbrev=False
    )
    lost.add_argument("--since", type=_duration, default=value("SINCE", "14d"), help="how far back (14d)")
    commands.add_parser(
        "rollback", parents=[common], help="go back to what the last deployment replaced", allow_abbrev=False
    )
    return parser


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"([1-9]\d{0,3})([mhd])", text, re.ASCII)
    if match is None:
        raise UsageError(f"SINCE={text} is no duration: give it as 30m, 2h or 7d.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[1-9]\d{0,4}", text, re.ASCII):
        raise UsageError(f"DEADLINE={text} is no number of seconds: give it as 300.")
    return float(text)


def _flag(text: str) -> bool:
    if text.lower() not in _FLAGS:
        raise UsageError(f"DRY_RUN={text} is neither yes nor no: give it as 1, or leave it out.")
    return _FLAGS[text.lower()]


def _complain(text: str, code: int) -> int:
    sys.stderr.write(f"{' '.join(text.split())}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
