"""Case-insensitive user names.

On AWS, `New-Agent@Example.com` and `new-agent@example.com` are the same user in a user pool whose
`UsernameConfiguration` has `CaseSensitive: false`, at sign-in and when a user is created. The emulator stores
the setting, but always compares case-sensitively.

Source: Amazon Cognito developer guide, "User pool case sensitivity".
"""

from collections.abc import Callable, Iterator
from typing import Any

from ministack.services import cognito

from devtools.emulator import patch

Json = dict[str, Any]


def install() -> None:
    """Extend the emulator."""
    patch.wrap(cognito, "_resolve_user", _resolve_user)


def _resolve_user(original: Callable[..., Any], pool: Json, username: str | None) -> Any:
    """Return the user and None, or None and the error response."""
    if username is None or _is_case_sensitive(pool):
        return original(pool, username)
    folded = username.casefold()
    return original(pool, next((name for name in _names(pool) if name.casefold() == folded), username))


def _is_case_sensitive(pool: Json) -> bool:
    # CloudFormation passes a boolean on as a string.
    return str(pool.get("UsernameConfiguration", {}).get("CaseSensitive", True)).lower() != "false"


def _names(pool: Json) -> Iterator[str]:
    """All user names and aliases of the pool's users."""
    aliases = {*(pool.get("UsernameAttributes") or []), *(pool.get("AliasAttributes") or [])}
    for user in pool["_users"].values():
        yield user["Username"]
        yield from (a["Value"] for a in user["Attributes"] if a["Name"] in aliases)
