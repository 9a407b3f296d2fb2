"""The command's options, all of them variables in the environment, such as TICKET= and DRY_RUN=1."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, get_args

from ops.errors import UsageError

MAX_REASON = 500

Command = Literal["replay", "recover", "dismiss", "rollback", "verify"]
_COMMANDS: tuple[Command, ...] = get_args(Command)

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_FLAGS = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}
# A variable that a command would have to ignore, and what to do instead.
_REFUSED = {
    "recover": dict.fromkeys(("TICKET", "ERROR"), "leave it out, and see with DRY_RUN=1 what is lost"),
    "dismiss": dict.fromkeys(("ERROR", "SINCE"), "name one TICKET or one MESSAGE"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command is to do. Without `stack` it works on the local stack."""

    command: Command
    stack: str | None
    profile: str | None
    dry_run: bool
    deadline: float
    """How many seconds to watch."""
    ticket: str | None
    error: str | None
    since: timedelta | None
    message: str | None
    reason: str
    save: Path | None

    @classmethod
    def parse(cls, arguments: Sequence[str], environment: Mapping[str, str]) -> Options:
        """Read the command from the arguments, and its options from the environment. Empty ones do not count.

        Raises:
            UsageError: the command or a value is invalid, or the options contradict each other.
        """
        command = _command(arguments)
        given = {name: value for name, value in environment.items() if value}
        _refuse_contradictions(command, given)
        return cls(
            command=command,
            stack=given.get("STACK"),
            profile=given.get("PROFILE"),
            dry_run=_flag(given.get("DRY_RUN", "")),
            deadline=_seconds(given.get("DEADLINE", "300")),
            ticket=given.get("TICKET"),
            error=given.get("ERROR"),
            since=_duration(given["SINCE"]) if "SINCE" in given else None,
            message=given.get("MESSAGE"),
            reason=_reason(given.get("REASON", "")) if command == "dismiss" else "",
            save=Path(given["SAVE"]) if "SAVE" in given else None,
        )


def _command(arguments: Sequence[str]) -> Command:
    for command in _COMMANDS:
        if list(arguments) == [command]:
            return command
    raise UsageError(
        f"Usage: python -m ops {'|'.join(_COMMANDS)}, with options such as TICKET= in the environment."
    )


def _refuse_contradictions(command: Command, given: Mapping[str, str]) -> None:
    for name, advice in _REFUSED.get(command, {}).items():
        if name in given:
            raise UsageError(f"{command} takes no {name}: {advice}.")
    if "PROFILE" in given and "STACK" not in given:
        raise UsageError("PROFILE is for a deployed stack: name it with STACK.")
    if command == "verify" and "STACK" in given and "AWS_ENDPOINT_URL" in given:
        # As in a shell that has read aws.env: the emulator's API has an address that it does not serve.
        raise UsageError(
            "AWS_ENDPOINT_URL is set, so this is not AWS: open another shell, or give STACK= empty."
        )


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
