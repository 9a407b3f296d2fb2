"""The command line's options: each is a flag or a variable in the environment, such as DRY_RUN=1."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

from ops.errors import UsageError

MAX_REASON = 500

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_FLAGS = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}
# A variable that a command would have to ignore, and what to do instead.
_REFUSED = {
    "recover": dict.fromkeys(("TICKET", "ERROR"), "leave it out, and see with DRY_RUN=1 what is lost"),
    "dismiss": dict.fromkeys(("ERROR", "SINCE"), "name one TICKET or one MESSAGE"),
}


def parse(arguments: Sequence[str] | None, environment: Mapping[str, str]) -> argparse.Namespace:
    """The options of the command that is asked for.

    Raises:
        UsageError: an option is unknown, missing or has no valid value.
    """
    options = _parser(environment).parse_args(arguments)
    for name, advice in _REFUSED.get(options.command, {}).items():
        if environment.get(name):
            raise UsageError(f"{options.command} takes no {name}: {advice}.")
    if options.profile and not options.stack:
        raise UsageError("PROFILE is for a deployed stack: name it with STACK.")
    if options.command == "verify" and options.stack and environment.get("AWS_ENDPOINT_URL"):
        # As in a shell that has read aws.env: the emulator's API has an address that it does not serve.
        raise UsageError(
            "AWS_ENDPOINT_URL is set, so this is not AWS: open another shell, or give STACK= empty."
        )
    return options


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see `python -m ops --help`)")


def _parser(environment: Mapping[str, str]) -> _Parser:
    def value(name: str, default: str | None = None) -> str | None:
        return environment.get(name) or default

    stack = _Parser(add_help=False, allow_abbrev=False)
    stack.add_argument("--stack", default=value("STACK"), help="CloudFormation stack; the local one without")
    stack.add_argument("--profile", default=value("PROFILE"), help="AWS profile, with --stack")
    common = _Parser(add_help=False, allow_abbrev=False, parents=[stack])
    common.add_argument("--dry-run", action="store_true", default=_flag(value("DRY_RUN", "0") or "0"))
    limited = _Parser(add_help=False, allow_abbrev=False)
    limited.add_argument(
        "--deadline", type=_seconds, default=value("DEADLINE", "300"), help="seconds to watch (300)"
    )
    watching = _Parser(add_help=False, allow_abbrev=False, parents=[common, limited])
    parser = _Parser(
        prog="python -m ops",
        description="Every option can also be given in the environment: TICKET=, SINCE=, DRY_RUN=1 …",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    again = commands.add_parser(
        "replay", parents=[watching], help="start failed tickets again", allow_abbrev=False
    )
    again.add_argument("--ticket", default=value("TICKET"), help="only this ticket")
    again.add_argument("--error", default=value("ERROR"), help="only this error, such as ModelThrottled")
    again.add_argument("--since", type=_duration, default=value("SINCE"), help="only the last 30m, 2h, 7d")
    lost = commands.add_parser(
        "recover", parents=[watching], help="replay tickets that only the log holds", allow_abbrev=False
    )
    lost.add_argument("--since", type=_duration, default=value("SINCE", "14d"), help="how far back (14d)")
    never = commands.add_parser(
        "dismiss", parents=[common], help="take out what no replay can mend", allow_abbrev=False
    )
    never.add_argument("--ticket", default=value("TICKET"), help="the failed ticket")
    never.add_argument("--message", default=value("MESSAGE"), help="or the id of its message in the queue")
    never.add_argument("--reason", type=_reason, default=value("REASON", ""), help="why; it is kept")
    never.add_argument(
        "--save", type=Path, default=value("SAVE"), help="a new file for an unreadable message"
    )
    commands.add_parser(
        "rollback", parents=[common], help="go back to what the last deployment replaced", allow_abbrev=False
    )
    commands.add_parser(
        "verify", parents=[stack, limited], help="check a deployed stack, with tickets", allow_abbrev=False
    )
    return parser


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"([1-9]\d{0,3})([mhd])", text, re.ASCII)
    if match is None:
        raise UsageError(f"SINCE={text} is not a duration: give it as 30m, 2h or 7d.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[1-9]\d{0,4}", text, re.ASCII):
        raise UsageError(f"DEADLINE={text} is not a number of seconds: give it as 300.")
    return float(text)


def _flag(text: str) -> bool:
    if text.lower() not in _FLAGS:
        raise UsageError(f"DRY_RUN={text} is neither yes nor no: give it as 1, or leave it out.")
    return _FLAGS[text.lower()]


def _reason(text: str) -> str:
    words = " ".join(text.split())
    if not words or len(words) > MAX_REASON or not words.isprintable():
        raise UsageError(
            f'Say why in 1 to {MAX_REASON} characters, without the customer\'s words: REASON="…".'
        )
    return words
