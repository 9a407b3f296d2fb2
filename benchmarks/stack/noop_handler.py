"""A task that does nothing: it returns what the state machine needs to reach the next one."""

from typing import Any


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return the event's ticket, or that of its submission."""
    return {"ticket": event.get("ticket") or event["submission"], "isDuplicate": False}
