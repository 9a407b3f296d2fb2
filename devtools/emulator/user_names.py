"""User names without regard to case.

On AWS a user pool whose `UsernameConfiguration` has `CaseSensitive: false` takes `New-Agent@Example.com` and
`new-agent@example.com` for the same user, at sign-in and when a user is created. The emulator stores the
setting and compares letter by letter.
"""

from collections.abc import Callable, Iterator
from typing import Any

from ministack.services import cognito

from devtools.emulator import guard

Json = dict[str, Any]


def install() -> None:
    """Extend the emulator."""
    guard.wrap(cognito, "_resolve_user", _resolve_user)


def _resolve_user(original: Callable[..., Any], pool: Json, username: str | None) -> Any:
    """The user and None, or None and the error response."""
    if username is None or _is_case_sensitive(pool):
        return original(pool, username)
    wanted = username.casefold()
    return original(pool, next((name for name in _names(pool) if name.casefold() == wanted), username))


def _is_case_sensitive(pool: Json) -> bool:
    # CloudFormation hands a boolean over as text.
    return str(pool.get("UsernameConfiguration", {}).get("CaseSensitive", True)).lower() != "false"


def _names(pool: Json) -> Iterator[str]:
    """Everything by which the pool's users may be called."""
    aliases = {*(pool.get("UsernameAttributes") or []), *(pool.get("AliasAttributes") or [])}
    for user in pool["_users"].values():
        yield user["Username"]
        yield from (a["Value"] for a in user["Attributes"] if a["Name"] in aliases)
