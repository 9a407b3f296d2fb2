"""The options of a command: variables in the environment, such as TICKET= and DRY_RUN=1."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, get_args

MAX_REASON = 500

Command = Literal[
    "replay",
    "recover",
    "dismiss",
    "rollback",
    "verify",
    "ticket",
    "trace",
    "cost",
    "corrections",
    "sweep",
    "digest",
]
_COMMANDS: tuple[Command, ...] = get_args(Command)

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_FLAGS = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}
# Variables that have no meaning for a command, and what to do instead.
_UNSUPPORTED = {
    "recover": dict.fromkeys(("TICKET", "ERROR"), "leave it out; DRY_RUN=1 lists what would be recovered"),
    "dismiss": dict.fromkeys(("ERROR", "SINCE"), "set TICKET or MESSAGE"),
    **dict.fromkeys(("ticket", "trace"), dict.fromkeys(("ERROR", "SINCE", "MESSAGE"), "set TICKET")),
    "cost": dict.fromkeys(("TICKET", "ERROR", "MESSAGE"), "it prices the whole stack; set SINCE"),
    "corrections": dict.fromkeys(
        ("TICKET", "ERROR", "MESSAGE", "DRY_RUN"), "it saves the corrections of all tickets; set SINCE"
    ),
    "sweep": dict.fromkeys(("TICKET", "DRY_RUN"), "it sweeps all stuck tickets"),
    "digest": dict.fromkeys(("TICKET", "DRY_RUN"), "it mails all tickets that wait for the digest"),
}


class UsageError(Exception):
    """The command cannot run like this. The message is one or two sentences that say what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A command and its options. Without `stack` it works on the local stack."""

    command: Command
    stack: str | None
    profile: str | None
    dry_run: bool
    deadline: float
    """The maximum number of seconds to wait."""
    ticket: str | None
    error: str | None
    since: timedelta | None
    message: str | None
    reason: str
    save: Path | None

    @classmethod
    def parse(cls, arguments: Sequence[str], environment: Mapping[str, str]) -> Options:
        """Read the command from the arguments and its options from the environment. Ignores empty variables.

        Raises:
            UsageError: the command or a value is invalid, or the options contradict each other.
        """
        command = _command(arguments)
        values = {name: value for name, value in environment.items() if value}
        _reject_unsupported(command, values)
        return cls(
            command=command,
            stack=values.get("STACK"),
            profile=values.get("PROFILE"),
            dry_run=_flag(values.get("DRY_RUN", "")),
            deadline=_seconds(values.get("DEADLINE", "300")),
            ticket=values.get("TICKET"),
            error=values.get("ERROR"),
            since=_duration(values["SINCE"]) if "SINCE" in values else None,
            message=values.get("MESSAGE"),
            reason=_reason(values.get("REASON", "")) if command == "dismiss" else "",
            save=Path(values["SAVE"]) if "SAVE" in values else None,
        )


def _command(arguments: Sequence[str]) -> Command:
    for command in _COMMANDS:
        if list(arguments) == [command]:
            return command
    raise UsageError(
        f"Usage: python -m ops {'|'.join(_COMMANDS)}, with options such as TICKET= in the environment."
    )


def _reject_unsupported(command: Command, values: Mapping[str, str]) -> None:
    for name, advice in _UNSUPPORTED.get(command, {}).items():
        if name in values:
            raise UsageError(f"{command} does not accept {name}: {advice}.")
    if command == "dismiss" and ("TICKET" in values) == ("MESSAGE" in values):
        raise UsageError("Set what to dismiss: either TICKET=<ticket id> or MESSAGE=<message id>.")
    if command in ("ticket", "trace") and "TICKET" not in values:
        raise UsageError("Set the ticket to show: TICKET=<ticket id>.")
    if "PROFILE" in values and "STACK" not in values:
        raise UsageError("PROFILE requires STACK, the name of a deployed stack.")
    if "STACK" in values:
        require_aws(values)


def require_aws(environment: Mapping[str, str]) -> None:
    """Make sure that AWS_ENDPOINT_URL does not redirect all calls, as in a shell that has sourced aws.env.

    AWS itself has no endpoint that serves all services.

    Raises:
        UsageError: the variable is set.
    """
    if endpoint := environment.get("AWS_ENDPOINT_URL"):
        raise UsageError(
            f"AWS_ENDPOINT_URL is set, so this is not AWS but {endpoint} (as after `. .local/aws.env`): "
            "open a new terminal to use AWS."
        )


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"([1-9]\d{0,3})([mhd])", text, re.ASCII)
    if match is None:
        raise UsageError(f"SINCE must be a duration such as 30m, 2h or 7d, not {text}.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[1-9]\d{0,4}", text, re.ASCII):
        raise UsageError(f"DEADLINE must be a number of seconds from 1 to 99999, not {text}.")
    return float(text)


def _flag(text: str) -> bool:
    if text.lower() not in _FLAGS:
        raise UsageError(f"DRY_RUN must be 1, or left out, not {text}.")
    return _FLAGS[text.lower()]


def _reason(text: str) -> str:
    words = " ".join(text.split())
    if not words or len(words) > MAX_REASON or not words.isprintable():
        raise UsageError(
            f'REASON must have 1 to {MAX_REASON} printable characters: REASON="…". Do not quote the customer.'
        )
    return words
